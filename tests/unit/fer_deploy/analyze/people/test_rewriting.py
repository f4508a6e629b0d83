"""People of a finished analysis are named, merged and dropped."""

import base64
import json
import re

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from unit.fer_deploy.analyze.report.test_timeline import make_summary

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.faces_table import face_rows
from fer_deploy.analyze.people.people_file import PeopleFile
from fer_deploy.analyze.people.pictures import PersonPicture, write_pictures
from fer_deploy.analyze.people.rewriting import rewrite_people
from fer_deploy.analyze.report.people_seen import people_from_rows
from fer_deploy.analyze.report.summary import PassersBy, _person
from fer_deploy.analyze.results import write_report
from fer_deploy.cli import main
from fer_deploy.errors import ConfigError, StreamError

FPS, NUM = 10, 100
TRACKS = {1: (0, 40, 1, "dark"), 2: (0, 100, 2, "bright"), 3: (50, 100, 3, "bright"), 4: (45, 48, None, "dark")}
"""First frame, end, number and label of each track; track 4 passes by."""


def rows():
    for frame in range(NUM):
        for track, (first, end, person, shown) in TRACKS.items():
            if first <= frame < end:
                yield frame, track, person, shown


@pytest.fixture
def folder(tmp_path):
    """Finished results of a video."""
    folder = tmp_path / "out" / "clip"
    folder.mkdir(parents=True)
    frame, track, person, shown = zip(*rows(), strict=True)
    bright = np.where(np.array(shown) == "bright", 0.8, 0.2)
    table = {"frame": frame, "track": track, "person": pa.array(person, pa.int64()), "shown": shown}
    table |= {"flags": [""] * len(track), "smoothed_p_dark": 1 - bright, "smoothed_p_bright": bright}
    pa.parquet.write_table(pa.table(table), folder / "faces.parquet", row_group_size=37)
    frames = pa.table({"frame": list(range(NUM)), "time_s": [frame / FPS for frame in range(NUM)]})
    pa.parquet.write_table(frames, folder / "faces.frames.parquet")
    seen = people_from_rows(face_rows(folder, ("dark", "bright"), until_s=NUM / FPS, run=""))
    people = tuple(_person(one.number, one) for one in seen if one.number)
    accounting = Accounting(num_analyzed=NUM, num_faces=len(track))
    changes = {"duration_s": NUM / FPS, "fps": FPS, "accounting": accounting, "people": people}
    changes["passers_by"] = PassersBy(num_tracks=1, num_faces=3)
    summary = make_summary(0).model_copy(update=changes)
    write_report(folder, summary)
    (folder / "summary.json").write_text(summary.model_dump_json())
    return folder


@pytest.fixture
def rename(tmp_path, folder):
    def run(text):
        path = tmp_path / "people.csv"
        path.write_text(text)
        return rewrite_people(tmp_path / "clip.mp4", folder, PeopleFile.load(path))

    return run


def told(summary):
    return [(one.number, one.name, one.tracks, one.numbers, one.num_faces) for one in summary.people]


def test_named_merged_and_dropped(rename, folder):
    table = (folder / "faces.parquet").read_bytes()
    summary = rename("person,track,name,drop\n1,,Anna,\n3,,Anna,\n2,,,yes\n,4,Guest,\n")
    assert told(summary) == [(1, "Anna", (1, 3), (1, 3), 90), (2, "Guest", (4,), (), 3)]
    anna = summary.people[0]
    assert (anna.track, anna.first_s, anna.last_s, anna.visible_s) == (1, 0.0, 10.0, 9.0)
    assert anna.shares == {"bright": round(50 / 90, 4), "dark": round(40 / 90, 4)}
    assert (summary.num_faces_dropped, summary.passers_by.num_tracks) == (100, 0)
    assert (folder / "faces.parquet").read_bytes() == table
    page = (folder / "report.html").read_text()
    assert "<h2>Anna</h2>" in page
    assert "in tables and video 1, 3" in page
    assert json.loads((folder / "summary.json").read_text())["people"][0]["name"] == "Anna"
    assert cv2.imread(str(folder / "timeline.png")) is not None


def test_numbers_have_no_holes_and_the_file_can_be_changed(rename, folder):
    assert told(rename("person,drop\n1,yes\n")) == [(1, "", (2,), (2,), 100), (2, "", (3,), (3,), 50)]
    assert told(rename("person,name\n3,Ben\n")) == [
        (1, "", (1,), (1,), 40),
        (2, "", (2,), (2,), 100),
        (3, "Ben", (3,), (3,), 50),
    ]


def test_nothing_changed_gives_the_same_numbers(rename, folder):
    before = json.loads((folder / "summary.json").read_text())
    rename("person,name\n")
    after = json.loads((folder / "summary.json").read_text())
    added = ("tracks", "numbers")
    strip = lambda people: [{name: one[name] for name in one if name not in added} for one in people]  # noqa: E731
    assert strip(after.pop("people")) == strip(before.pop("people"))
    assert list(after.pop("inputs")) == ["people: people.csv"]
    before.pop("inputs")
    assert after == before


def test_merged_people_have_the_best_picture(rename, folder):
    pictures = [PersonPicture(track, 5, 0.5, score, b"small%d" % track, b"") for track, score in ((1, 3.0), (3, 8.0))]
    write_pictures(folder / "people.parquet", pictures)
    rename("person,name,drop\n1,Anna,\n3,Anna,\n2,,yes\n")
    thumbnails = re.findall('base64,([^"]+)" alt="best frame of ([^"]+)"', (folder / "report.html").read_text())
    assert [(base64.b64decode(data), name) for data, name in thumbnails] == [(b"small3", "Anna")]
    rename("person,name\n")
    thumbnails = re.findall('<img src="data:image/jpeg;base64,([^"]+)"', (folder / "report.html").read_text())
    assert [base64.b64decode(data) for data in thumbnails] == [b"small1", b"small3"]


def test_entries_of_other_videos_are_left_out(rename):
    summary = rename("video,person,name\nother.mp4,9,Eve\nclip.mp4,1,Anna\nclip,2,Ben\n")
    assert [one.name for one in summary.people] == ["Anna", "Ben", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person,name\n9,Eve\n", "line 2: clip.mp4 has no person 9. Fix: 1 to 3, as in faces.csv"),
        ("track,name\n9,Eve\n", "line 2: clip.mp4 has no track 9. Fix: a track of faces.csv"),
        ("person,track,name\n1,,Eve\n,1,Ann\n", "lines 2 and 3 are about the same person of clip.mp4"),
        ("person,name\n1,Eve\n2,Eve\n", "tracks 1 and 2 are both named 'Eve', and both are visible at 0 s. Fix: diff"),
    ],
)
def test_refused(rename, folder, text, message):
    before = (folder / "summary.json").read_bytes()
    with pytest.raises(ConfigError, match=message):
        rename(text)
    assert (folder / "summary.json").read_bytes() == before


def test_a_table_that_lost_rows(rename, folder):
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(folder / "faces.parquet")[5:], folder / "faces.parquet")
    with pytest.raises(StreamError, match="does not have the 193 faces of its analysis"):
        rename("person,name\n1,Anna\n")


class TestCommand:
    def run(self, tmp_path, *more):
        (tmp_path / "people.csv").write_text("person,name\n1,Anna\n")
        flags = ["--out", tmp_path / "out", "--people", tmp_path / "people.csv", *more]
        return CliRunner().invoke(main, ["analyze", str(tmp_path / "clip.mp4"), *map(str, flags)])

    def test_no_model_and_no_video_is_opened(self, tmp_path, folder):
        result = self.run(tmp_path)
        assert result.exit_code == 0, result.stderr
        assert "clip.mp4: 100 frames, 193 faces, 3 people, 1 passer-by: " in result.stdout
        assert "<h2>Anna</h2>" in (folder / "report.html").read_text()

    def test_not_finished(self, tmp_path):
        result = self.run(tmp_path)
        assert result.exit_code == 2
        assert "has no finished analysis of" in result.stderr

    def test_restart(self, tmp_path, folder):
        assert "--restart deletes the results that --people is about" in self.run(tmp_path, "--restart").stderr
