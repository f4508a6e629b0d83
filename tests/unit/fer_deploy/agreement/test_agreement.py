"""Codes matched with results, and the command."""

import json

import cv2
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from unit.fer_deploy.analyze.events.made_results import person
from unit.fer_deploy.analyze.report.test_timeline import make_summary

from fer_deploy.agreement.agreement import agreement
from fer_deploy.cli import main
from fer_deploy.errors import ConfigError
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint

TWO_PEOPLE = [
    (0, 1, "", 0, "happy", "happy"),
    (0, 2, "", 100, "sad", "unsure"),
    (1, 1, 1, 0, "sad", "happy"),
    (1, 2, 2, 100, "neutral", "neutral"),
    (3, 1, 1, 4, "neutral", "unreadable"),
]
"""Frames 0, 1 and 3 of 5; in frame 3 the second face is gone."""


@pytest.fixture
def compare(tmp_path, write_result):
    """Return a function that compares codes with the video of two people."""

    def run(text, **flags):
        folder = write_result("a", TWO_PEOPLE, num_frames=5, **flags)
        (tmp_path / "codes.csv").write_text(text)
        return agreement([folder if flags.get("parquet") else folder / "faces.csv"], tmp_path / "codes.csv", **QUICK)

    return run


QUICK = {"num_samples": 100, "seed": 0}


@pytest.mark.parametrize("parquet", [False, True])
def test_moments_and_coverage(compare, parquet):
    found = compare(
        "person,track,frame,time_s,x1,y1,x2,y2,label\n"
        "1,,0,,,,,,happy\n"  # both happy; the person has no number yet in this frame
        ",,0,,101,10,121,30,sad\n"  # raw sad, shown unsure
        "1,,,0.11,,,,,happy\n"  # raw sad, shown happy
        "1,,3,,,,,,neutral\n"  # raw neutral, shown unreadable
        "2,,3,,,,,,neutral\n"  # no face
        ",,4,,,,,,sad\n"  # no face at all
        ",,2,,,,,,unreadable\n",  # the coder could not tell
        parquet=parquet,
    )
    assert found.coverage == (6, 2, 1, 1)
    raw, shown = found.compared["raw"], found.compared["shown"]
    assert (raw.num, shown.num) == (4, 2)
    assert raw.measures.accuracy.value == 0.75
    assert shown.measures.accuracy.value == 1.0
    assert raw.columns == ("happy", "neutral", "sad", "no face")
    assert raw.confusion.tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 1]]
    assert shown.columns == ("happy", "neutral", "sad", "unsure", "unreadable", "no face")
    assert shown.confusion.tolist() == [[2, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 1]]


def test_an_interval_codes_each_frame(compare):
    found = compare("track,start_s,end_s,label\n1,0,0.3,happy\n1,0.3,0.5,neutral\n")
    assert found.coverage == (5, 2, 1, 0)
    assert found.compared["raw"].confusion.sum(axis=1).tolist() == [3, 2, 0]


def test_a_far_box_is_no_face(compare):
    assert compare("frame,x1,y1,x2,y2,label\n0,50,10,70,30,sad\n0,0,10,20,30,happy\n").coverage.num_no_face == 1


def test_participants_are_the_people_of_the_bootstrap(tmp_path, write_result):
    for name in ("a", "b"):
        write_result(name, TWO_PEOPLE, num_frames=5, parquet=True)
    codes = tmp_path / "codes.csv"
    lines = ["a,1,1,happy,P1", "a,2,1,sad,P2", "b,1,1,happy,P1", "b,2,1,sad,P2"]
    for names, num in ((True, 2), (False, 4)):
        shown = [line if names else line.rpartition(",")[0] + "," for line in lines]
        codes.write_text("\n".join(["video,person,frame,label,participant", *shown]))
        found = agreement([tmp_path / "results"], codes, **QUICK)
        assert found.num_people == num
        assert found.videos == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,label\n0,sad\n", "line 2: frame 0 of a has 2 faces, and the code does not say whose it is. Fix: a col"),
        ("frame,label\n9,sad\n", "line 2: a has no frame 9. Fix: its frames are 0 to 4, from 0 to 0.4 s"),
        ("time,label\n2,sad\n", "line 2: a has no frame at 2 s. Fix: its frames are"),
        ("start,end,label\n2,3,sad\n", "line 2: no frame of a from 2 to 3 s"),
        ("track,frame,label\n1,0,hapy\n", "line 2: label 'hapy' is none of the model's: .* Fix: did you mean 'happy'"),
        ("track,frame,label\n1,0,bored\n", "Fix: rename it, or leave the line out"),
        ("video,track,frame,label\nb,1,0,sad\n", "line 2: no result is of the video 'b'. Fix: name one of a"),
        ("track,frame,label\n1,0,sad\n1,0,happy\n", "lines 2 and 3 code the same face in frame 0 of a. Fix: one code"),
        ("track,frame,label\n1,0,unsure\n", "has no code to compare"),
        ("track,frame,label\n8,0,sad\n", "none of the 1 coded moments in .* has a face in the results"),
    ],
)
def test_refused(compare, text, message):
    with pytest.raises(ConfigError, match=message):
        compare(text)


def test_refused_results(tmp_path, write_result):
    codes = tmp_path / "codes.csv"
    codes.write_text("frame,label\n0,happy\n")
    with pytest.raises(ConfigError, match=r"no results in .* Fix: the folder of an analysis"):
        agreement([tmp_path], codes, **QUICK)
    write_result("a", TWO_PEOPLE, num_frames=5, parquet=True)
    with pytest.raises(ConfigError, match=r"codes.csv is no table|cannot read the results"):
        agreement([codes], codes, **QUICK)
    write_result("b", TWO_PEOPLE, num_frames=5, parquet=True)
    with pytest.raises(ConfigError, match=r"line 2: no video, and there are results of a, b. Fix: a column video"):
        agreement([tmp_path / "results"], codes, **QUICK)
    write_result("c", TWO_PEOPLE, num_frames=5, labels=("happy", "sad"), parquet=True)
    with pytest.raises(ConfigError, match="Fix: compare the results of one model at a time"):
        agreement([tmp_path / "results"], codes, **QUICK)


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path, write_result):
        folder = write_result("a", TWO_PEOPLE, num_frames=5, parquet=True)
        (tmp_path / "codes.csv").write_text("track,frame,label\n1,0,happy\n2,1,neutral\n1,1,sad\n")

        def run(*more):
            return CliRunner().invoke(main, ["agree", str(folder), str(tmp_path / "codes.csv"), *map(str, more)])

        return run

    def test_table(self, run):
        result = run()
        assert result.exit_code == 0, result.output
        assert "3 coded moments of 2 people in a: 0 without a face, 0 unreadable, 0 unsure" in result.stdout
        assert "Cohen's kappa" in result.stdout
        assert "2,000 bootstrap samples of people, seed 0" in result.stdout

    def test_json_and_picture(self, run, tmp_path):
        result = run("--json", "--png", tmp_path / "a.png", "--seed", "7")
        found = json.loads(result.stdout)
        assert found["coverage"] == {"num_moments": 3, "num_no_face": 0, "num_unreadable": 0, "num_unsure": 0}
        assert found["raw"]["accuracy"]["value"] == 1.0
        assert found["shown"]["recall"]["sad"]["value"] == 0.0
        assert found["bootstrap"]["seed"] == 7
        assert cv2.imread(str(tmp_path / "a.png")).shape[1] > 500

    def test_other_suffix_and_no_result(self, run, tmp_path):
        result = run("--png", tmp_path / "a.jpg")
        assert result.exit_code == 2
        assert "Fix: --png a.png" in result.stderr
        result = CliRunner().invoke(main, ["agree", "codes.csv"])
        assert "codes.csv is the only file. Fix: fer-deploy agree RESULT... CODES.csv" in result.stderr

    def test_picture_that_cannot_be_written(self, run, tmp_path):
        (tmp_path / "a.png").mkdir()
        result = run("--png", tmp_path / "a.png")
        assert result.exit_code == 8
        assert "Fix: another --png" in result.stderr


def test_people_who_were_named_have_the_numbers_of_the_report(tmp_path, write_result):
    """Tracks 1 and 3 are Anna, person 1; track 2 was dropped."""
    faces = [
        (0, 1, 1, 0, "happy", "happy"),
        (0, 2, 2, 100, "sad", "sad"),
        (1, 3, 3, 0, "sad", "sad"),
        (1, 2, 2, 100, "sad", "sad"),
    ]
    folder = write_result("a", faces, num_frames=2, parquet=True)
    anna = person(1, 1, name="Anna", tracks=(1, 3), numbers=(1, 3))
    summary = make_summary(0).model_copy(update={"people": (anna,)})
    (folder / "summary.json").write_text(summary.model_dump_json())
    codes = tmp_path / "codes.csv"
    codes.write_text("person,frame,label\n1,0,happy\n1,1,sad\n")
    found = agreement([folder], codes, **QUICK)
    assert (found.num_people, found.coverage.num_no_face) == (1, 0)
    assert found.compared["raw"].measures.accuracy.value == 1.0
    codes.write_text("person,frame,label\n1,0,happy\n2,0,sad\n")
    assert agreement([folder], codes, **QUICK).coverage.num_no_face == 1
    assert found.notes == ()
    bob = person(1, 2, name="Bob", tracks=(2,), numbers=(2,))
    (folder / "summary.json").write_text(summary.model_copy(update={"people": (bob,)}).model_dump_json())
    codes.write_text("person,frame,label\n1,0,sad\n")
    (note,) = agreement([folder], codes, **QUICK).notes
    assert note.endswith("a person in the codes is that of the report, and not that of tables and video")
    codes.write_text("track,frame,label\n2,0,sad\n")
    assert agreement([folder], codes, **QUICK).notes == ()
    changed = summary.model_copy(update={"tables": {"faces.parquet": "ef"}})
    (folder / "summary.json").write_text(changed.model_dump_json())
    with pytest.raises(ConfigError, match=r"faces.parquet was changed after the analysis: summary.json has another"):
        agreement([folder], codes, **QUICK)


class TestRuns:
    CODES = "video,track,frame,label\na,1,0,happy\nb,1,0,happy\n"

    def write(self, write_result, name, settings, *, frames_of=None):
        folder = write_result(name, TWO_PEOPLE, num_frames=5, parquet=True)
        for table, chosen in (("faces", settings), ("faces.frames", frames_of or settings)):
            run = RunFingerprint(video=name, engine="e", detector="", version="1", settings=chosen)
            path = folder / f"{table}.parquet"
            pyarrow.parquet.write_table(pyarrow.parquet.read_table(path).replace_schema_metadata(run.metadata()), path)
        return folder

    def test_other_settings_are_told(self, tmp_path, write_result):
        (tmp_path / "codes.csv").write_text(self.CODES)
        self.write(write_result, "a", {"sample_fps": None})
        self.write(write_result, "b", {"sample_fps": 5})
        found = agreement([tmp_path / "results"], tmp_path / "codes.csv", **QUICK)
        assert found.notes == ("b was not analyzed as a was: sample_fps 5 instead of unset",)
        assert (len(set(found.runs)), found.as_json()["runs"]) == (2, list(found.runs))

    def test_tables_that_name_no_run_are_compared(self, tmp_path, write_result):
        (tmp_path / "codes.csv").write_text(self.CODES)
        for name in ("a", "b"):
            write_result(name, TWO_PEOPLE, num_frames=5, parquet=True)
        found = agreement([tmp_path / "results"], tmp_path / "codes.csv", **QUICK)
        assert (found.notes, found.runs) == ((), ("", ""))

    def test_faces_and_frames_of_different_runs(self, tmp_path, write_result):
        (tmp_path / "codes.csv").write_text("track,frame,label\n1,0,happy\n")
        folder = self.write(write_result, "a", {"start": None}, frames_of={"start": 1})
        with pytest.raises(ConfigError, match=r"tables of different runs are mixed: .*faces.parquet is of run r"):
            agreement([folder], tmp_path / "codes.csv", **QUICK)

    def test_rows_of_different_runs(self, tmp_path, write_result):
        (tmp_path / "codes.csv").write_text("track,frame,label\n1,0,happy\n")
        folder = write_result("a", TWO_PEOPLE, num_frames=5)
        lines = (folder / "faces.csv").read_text().splitlines()
        runs = ["run", "r1", *["r2"] * (len(lines) - 2)]
        (folder / "faces.csv").write_text("".join(f"{line},{run}\n" for line, run in zip(lines, runs, strict=True)))
        with pytest.raises(ConfigError, match=r"faces.csv in .* has rows of different runs: r1, r2. Fix: one run"):
            agreement([folder / "faces.csv"], tmp_path / "codes.csv", **QUICK)
