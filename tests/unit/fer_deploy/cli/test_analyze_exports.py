"""Exports of the command: computed with the analysis, and again from finished results without the network."""

import csv
import hashlib
import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from integration.analyze_videos import SquareDetector, write_squares

from fer_deploy.analyze import models
from fer_deploy.cli import main
from fer_deploy.engines import config as engine_config
from fer_deploy.engines.fake import FakeEngine

TABLES = ("faces.csv", "faces.parquet", "faces.frames.csv", "faces.frames.parquet")
SEGMENTS = ("segments.csv", "segments.parquet", "segments.wide.csv")


class NeverAsked(FakeEngine):
    """An engine that fails if it is run."""

    def infer(self, images_nchw):
        raise AssertionError("the finished results were to be enough")


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(engine_config, "open_engine", lambda path, **options: FakeEngine())
    monkeypatch.setattr(models, "build_detectors", lambda config: SquareDetector)


def analyze(tmp_path, *args):
    settings = ("--out", tmp_path / "out", "--detector", "haar", "--no-video", "--segment-frames", "24")
    return CliRunner().invoke(main, ["analyze", *map(str, (*args, *settings))])


def events(tmp_path, *lines, name="events.csv"):
    (tmp_path / name).write_text("\n".join(("start,end,label", *lines)) + "\n")
    return tmp_path / name


def rows(path, delimiter=","):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_all_at_once_and_new_events_later(tmp_path, monkeypatch):
    video, folder = write_squares(tmp_path / "a.mp4", 60), tmp_path / "out/a"
    (tmp_path / "people.csv").write_text("video,group\na.mp4,control\n")
    given = ("--participants", tmp_path / "people.csv", "--intervals", "--protocol")
    result = analyze(tmp_path, video, "--events", events(tmp_path, "0,1,film", "0:01.0,0:02,rest"), *given)
    assert result.exit_code == 0, result.output
    written = [*SEGMENTS, "intervals.tsv", "intervals.eaf", "protocol.md"]
    assert f"a.mp4: {', '.join(written)}: {folder}\n" in result.stdout
    found = rows(folder / "segments.csv")
    assert [(row["person"], row["label"], row["group"]) for row in found] == [
        ("1", "film", "control"),
        ("1", "rest", "control"),
        ("2", "film", "control"),
        ("2", "rest", "control"),
    ]
    assert all(float(row["visible_s"]) == pytest.approx(1, abs=1e-3) for row in found)
    table = pq.read_table(folder / "segments.parquet")
    assert [str(value) for value in table["coverage"].to_pylist()] == [row["coverage"] for row in found]
    assert table.schema.metadata[b"fer_events_sha256"].decode() == digest(tmp_path / "events.csv")
    assert len(rows(folder / "segments.wide.csv")) == 2
    assert {row["Subject"] for row in rows(folder / "intervals.tsv", "\t")} == {"Person 1", "Person 2"}
    assert digest(tmp_path / "events.csv") in (folder / "protocol.md").read_text()

    monkeypatch.setattr(engine_config, "open_engine", lambda path, **options: NeverAsked())
    before = {name: digest(folder / name) for name in TABLES}
    again = analyze(tmp_path, video, "--events", events(tmp_path, "0.5,1.5,both", name="other.csv"))
    assert again.exit_code == 0, again.output
    assert [(row["label"], "group" in row) for row in rows(folder / "segments.csv")] == [("both", False)] * 2
    assert before == {name: digest(folder / name) for name in TABLES}
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["inputs"] == {"events: other.csv": digest(tmp_path / "other.csv")}
    assert set(summary["tables"]) == {*TABLES, *SEGMENTS, "intervals.tsv"}
    assert all(digest(folder / name) == known for name, known in summary["tables"].items())
    for name in ("faces.parquet", "faces.frames.parquet", "segments.parquet"):
        assert json.loads(pq.read_schema(folder / name).metadata[b"fer_fingerprint"]) == summary["fingerprint"]


def test_people_who_are_named_later(tmp_path):
    """Exports of before are told of, and written again with the names if they are asked for."""
    video, folder = write_squares(tmp_path / "a.mp4", 60), tmp_path / "out/a"
    given = ("--events", events(tmp_path, "0,2,film"))
    assert analyze(tmp_path, video, *given).exit_code == 0
    (tmp_path / "names.csv").write_text("person,name,drop\n1,,yes\n2,Anna,\n")
    alone = analyze(tmp_path, video, "--people", tmp_path / "names.csv")
    assert alone.exit_code == 0, alone.output
    assert "other people, events or excluded ranges: segments.csv, segments.parquet, segments.wide.csv." in alone.stderr
    assert "To write them again: add --events to this command" in alone.stderr
    assert not [name for name in json.loads((folder / "summary.json").read_text())["tables"] if name in SEGMENTS]
    both = analyze(tmp_path, video, "--people", tmp_path / "names.csv", "--intervals", "--protocol", *given)
    assert both.exit_code == 0, both.output
    assert "earlier call" not in both.stderr
    assert [(row["person"], row["person_name"]) for row in rows(folder / "segments.csv")] == [("1", "Anna")]
    assert {row["Subject"] for row in rows(folder / "intervals.tsv", "\t")} == {"Anna"}
    assert "60 faces of people who were dropped by hand were left out." in (folder / "protocol.md").read_text()
    some = analyze(tmp_path, video, "--people", tmp_path / "names.csv", *given)
    assert "ranges: intervals.tsv, intervals.eaf. To write them again: add --intervals to" in some.stderr
    inputs = json.loads((folder / "summary.json").read_text())["inputs"]
    used = {"events": "events.csv", "people": "names.csv"}
    assert inputs == {f"{what}: {name}": digest(tmp_path / name) for what, name in used.items()}


def test_excluded_ranges(tmp_path):
    """They are told, in the tables, the summary and the protocol, and a call without them forgets them."""
    video, folder = write_squares(tmp_path / "a.mp4", 60), tmp_path / "out/a"
    (tmp_path / "exclude.csv").write_text("start,end,person,video\n0.5,1.0,,a.mp4\n1.5,2,2,\n0,1,,b.mp4\n")
    given = ("--events", events(tmp_path, "0,2,film"))
    result = analyze(tmp_path, video, *given, "--exclude", tmp_path / "exclude.csv", "--intervals", "--protocol")
    assert result.exit_code == 0, result.output
    assert f"protocol.md without 2 excluded ranges: {folder}\n" in result.stdout
    assert [row["excluded_s"] for row in rows(folder / "segments.csv")] == ["0.5", "1.0"]
    spans = [
        (row["Subject"], float(row["Start (s)"]), float(row["Stop (s)"]))
        for row in rows(folder / "intervals.tsv", "\t")
    ]
    assert not [span for span in spans if span[1] < 1.0 and span[2] > 0.5]
    assert not [span for span in spans if span[0] == "Person 2" and span[2] > 1.5 and span[1] < 2.0]
    kept = {
        f"excluded from {what}: exclude.csv": digest(tmp_path / "exclude.csv") for what in ("segments", "intervals")
    }
    inputs = json.loads((folder / "summary.json").read_text())["inputs"]
    assert inputs == {"events: events.csv": digest(tmp_path / "events.csv"), **kept}
    protocol = (folder / "protocol.md").read_text()
    assert "By hand, the ranges of exclude.csv were left out of the segments and intervals. The column exc" in protocol

    other = events(tmp_path, "0,1,x", name="other.csv")
    told = "other people, events or excluded ranges: intervals.tsv, intervals.eaf"
    assert told not in result.stderr
    without = analyze(tmp_path, video, *given, "--protocol")
    assert without.exit_code == 0
    assert f"{told}. To write them again: add --intervals to" in without.stderr
    assert f"{told}, protocol.md. To" in analyze(tmp_path, video, "--events", other).stderr
    assert analyze(tmp_path, video, *given, "--protocol").exit_code == 0
    assert [row["excluded_s"] for row in rows(folder / "segments.csv")] == ["0.0", "0.0"]
    assert "By hand, the ranges of exclude.csv were left out of the intervals." in (folder / "protocol.md").read_text()
    assert "segments has their" not in (folder / "protocol.md").read_text()


def test_events_that_do_not_fit_keep_the_analysis(tmp_path):
    video = write_squares(tmp_path / "a.mp4", 30)
    result = analyze(tmp_path, video, "--events", events(tmp_path, "80,85,film", "90,95,rest"))
    assert result.exit_code == 2
    assert "the event 'film' in line 2 starts at 80 s, but a.mp4 ends at 1.25 s. Fix: times in seconds" in result.stderr
    assert (tmp_path / "out/a/summary.json").exists()
    assert not (tmp_path / "out/a/segments.csv").exists()


def test_faults_are_told_before_the_analysis(tmp_path):
    video = write_squares(tmp_path / "a.mp4", 30)
    (tmp_path / "people.csv").write_text("video,group\nb.mp4,control\n")
    alone = analyze(tmp_path, video, "--participants", tmp_path / "people.csv")
    assert "are columns of the segments, but there are no events. Fix: add --events events.csv" in alone.stderr
    given = ("--events", events(tmp_path, "0,1,film"), "--participants", tmp_path / "people.csv")
    other = analyze(tmp_path, video, *given)
    assert "people.csv has no row of a.mp4. Fix: one row with a.mp4 in the column video" in other.stderr
    (tmp_path / "people.csv").write_text("video,coverage\na.mp4,control\n")
    clash = analyze(tmp_path, video, *given)
    assert "have a column 'coverage', and so have the segments. Fix: another name for it" in clash.stderr
    wrong = analyze(tmp_path, video, "--events", events(tmp_path, "2,1,film"))
    assert "events.csv, line 2: the event ends at 1 s, but starts at 2 s" in wrong.stderr
    assert {one.exit_code for one in (alone, other, clash, wrong)} == {2}
    assert not (tmp_path / "out").exists()


def test_an_input_that_would_be_overwritten(tmp_path):
    video = write_squares(tmp_path / "a.mp4", 30)
    (tmp_path / "out/a").mkdir(parents=True)
    given = events(tmp_path / "out/a", "0,1,film", name="segments.csv")
    result = analyze(tmp_path, video, "--events", given)
    assert result.exit_code == 2
    assert "segments.csv would be overwritten: its analysis writes" in result.stderr
    assert given.read_text().startswith("start,end,label")


@pytest.mark.slow
def test_a_video_that_is_too_short_for_an_event(tmp_path):
    """An event after the end of one video is left out there."""
    long, short = write_squares(tmp_path / "long.mp4", 60), write_squares(tmp_path / "short.mp4", 30)
    result = analyze(tmp_path, long, short, "--events", events(tmp_path, "1.5,2,late"))
    assert result.exit_code == 0, result.output
    assert "short.mp4: the event 'late' in line 2 is left out: it starts at 1.5 s, and short.mp4 ends" in result.stderr
    assert [len(rows(tmp_path / f"out/{name}/segments.csv")) for name in ("long", "short")] == [2, 0]
    restarted = analyze(tmp_path, long, "--restart")
    assert restarted.exit_code == 0, restarted.output
    assert not [path for path in (tmp_path / "out/long").iterdir() if path.name.startswith("segments")]
