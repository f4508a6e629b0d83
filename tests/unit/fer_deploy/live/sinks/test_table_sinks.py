import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from unit.fer_deploy.live.sinks.table_cases import LABELS, rows_of

from fer_deploy.errors import SinkError
from fer_deploy.live.sinks import CsvSink, ParquetSink
from fer_deploy.live.sinks.unfinished import unfinished_path
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality, HeadPose
from fer_deploy.vision.types import Emotion

GOOD = FaceQuality(50.0, 9.123, 120.0, 40.0, 0.5, HeadPose(-12.0, 3.0, 1 / 3), (0.0, 0.0, 0.01, 0.0), 0.875, True)
FACE = {
    "frame": 1,
    "time_s": 0.1,
    "source": 0,
    "track": 1,
    "person": 1,
    "x1": 10,
    "y1": 30,
    "x2": 60,
    "y2": 80,
    "score": 0.875,
    "detected": True,
    "emotion": "bright",
    "confidence": 0.75,
    "p_dark": 0.25,
    "p_bright": 0.75,
    "smoothed_emotion": "bright",
    "smoothed_confidence": 0.625,
    "smoothed_p_dark": 0.375,
    "smoothed_p_bright": 0.625,
    "sure": True,
    "shown": "bright",
    "size_px": 50.0,
    "sharpness": 9.12,
    "brightness": 120.0,
    "contrast": 40.0,
    "grain": 0.5,
    "yaw_deg": -12.0,
    "pitch_deg": 3.0,
    "roll_deg": 0.33,
    "cut_left": 0.0,
    "cut_top": 0.0,
    "cut_right": 0.01,
    "cut_bottom": 0.0,
    "flags": "",
    "run": "",
}


@pytest.mark.parametrize(("kind", "name"), [(CsvSink, "a.csv"), (ParquetSink, "a.parquet")])
class TestBothFormats:
    def test_a_row_a_face_and_a_row_a_frame(self, tmp_path, make_result, kind, name):
        path = tmp_path / "new" / name
        with kind(path, LABELS) as sink:
            assert (sink.needs_picture, sink.write(make_result(0, boxes=()), None)) == (False, True)
            sink.write(make_result(1, quality=GOOD), None)
            sink.write(make_result(2, boxes=((0, 0, 9, 9), (1, 1, 5, 5)), source=3, name="ä, b.png"), None)
        faces, frames = rows_of(path), rows_of(path.with_name(f"a.frames{path.suffix}"))
        assert faces[0] == FACE
        assert [(face["frame"], face["track"], face["source"]) for face in faces] == [(1, 1, 0), (2, 1, 3), (2, 2, 3)]
        assert frames == [
            {"frame": 0, "time_s": 0.0, "source": 0, "name": "", "num_faces": 0, "num_readable": 0, "run": ""},
            {"frame": 1, "time_s": 0.1, "source": 0, "name": "", "num_faces": 1, "num_readable": 1, "run": ""},
            {"frame": 2, "time_s": 0.2, "source": 3, "name": "ä, b.png", "num_faces": 2, "num_readable": 2, "run": ""},
        ]
        assert len(list(path.parent.iterdir())) == 2, "nothing else is left"

    def test_an_unreadable_face_has_its_raw_values_and_its_flags(self, tmp_path, make_result, kind, name):
        bad = replace(GOOD, size_px=9.0, has_face_geometry=False, pose=None)
        with kind(tmp_path / name, LABELS) as sink:
            sink.write(make_result(quality=bad, is_sure=False, is_readable=False), None)
        (face,), (frame,) = rows_of(tmp_path / name), rows_of(tmp_path / f"a.frames{Path(name).suffix}")
        assert (face["shown"], face["sure"], face["flags"]) == ("unreadable", False, "SMALL_FACE NOT_A_FACE")
        assert (face["emotion"], face["smoothed_emotion"], face["yaw_deg"]) == ("bright", "bright", None)
        assert (frame["num_faces"], frame["num_readable"]) == (1, 0)

    def test_corrected_beside_raw(self, tmp_path, make_result, kind, name):
        corrected = Emotion("dark", 0.6, Probabilities.from_dict({"dark": 0.6, "bright": 0.4}))
        with kind(tmp_path / name, LABELS, is_corrected=True) as sink:
            sink.write(make_result(corrected=corrected), None)
        found = rows_of(tmp_path / name, is_corrected=True)[0]
        assert (found["emotion"], found["corrected_emotion"], found["smoothed_emotion"]) == ("bright", "dark", "bright")
        assert (found["p_dark"], found["corrected_p_dark"], found["corrected_confidence"]) == (0.25, 0.6, 0.6)

    def test_without_a_frame_the_tables_have_their_columns(self, tmp_path, kind, name):
        kind(tmp_path / name, LABELS).close()
        assert rows_of(tmp_path / name) == []

    def test_old_tables_stand_until_the_new_ones_are_whole(self, tmp_path, make_result, kind, name):
        (tmp_path / name).write_text("old")
        sink = kind(tmp_path / name, LABELS)
        sink.write(make_result(), None)
        assert (tmp_path / name).read_text() == "old"
        sink.close()
        assert len(rows_of(tmp_path / name)) == 1

    def test_files_are_told_once_both_are_whole(self, tmp_path, kind, name):
        sink = kind(tmp_path / name, LABELS)
        assert sink.files == ()
        sink.close()
        assert sink.files == (tmp_path / name, tmp_path / f"a.frames{Path(name).suffix}")

    @pytest.mark.parametrize("infix", ["", ".frames"])
    def test_folder_of_that_name(self, tmp_path, kind, name, infix):
        folder = tmp_path / f"a{infix}{Path(name).suffix}"
        folder.mkdir()
        with pytest.raises(SinkError, match=rf"cannot write {folder}: Is a directory\. Fix: another --{kind.name}"):
            kind(tmp_path / name, LABELS)
        assert list(tmp_path.iterdir()) == [folder], "nothing else is left"

    def test_without_its_frames_a_table_of_faces_keeps_its_temporary_name(self, tmp_path, make_result, kind, name):
        sink = kind(tmp_path / name, LABELS)
        sink.write(make_result(), None)
        (tmp_path / f"a.frames{Path(name).suffix}").mkdir()
        with pytest.raises(SinkError, match=rf"cannot (rename|finish) .*a\.frames.*{Path(name).suffix}.* Fix: "):
            sink.close()
        assert not (tmp_path / name).exists()
        left = rows_of(unfinished_path(tmp_path / name))
        assert [row["track"] for row in left] == [1]
        assert kind is ParquetSink or sink._faces._lines._file.closed

    def test_frames_that_cannot_be_created_leave_nothing(self, tmp_path, kind, name):
        unfinished_path(tmp_path / f"a.frames{Path(name).suffix}").symlink_to(tmp_path / "absent" / "x")
        before = list(tmp_path.iterdir())
        with pytest.raises(SinkError, match=rf"cannot write .*a\.frames.* Fix: another --{kind.name}"):
            kind(tmp_path / name, LABELS)
        assert list(tmp_path.iterdir()) == before

    def test_folder_that_cannot_be_written(self, tmp_path, kind, name):
        (tmp_path / "file").write_text("x")
        flag = "--csv" if kind is CsvSink else "--parquet"
        with pytest.raises(SinkError, match=rf"cannot write .*Fix: another {flag}"):
            kind(tmp_path / "file" / name, LABELS)


BOTH = pytest.mark.parametrize(("kind", "name"), [(CsvSink, "a.csv"), (ParquetSink, "a.parquet")])


@BOTH
class TestIncomplete:
    """A table without all of its rows never takes the name, whatever the exception, and neither does its partner."""

    @pytest.fixture
    def old(self, tmp_path, name):
        paths = (tmp_path / name, tmp_path / f"a.frames{Path(name).suffix}")
        for path in paths:
            path.write_text("old")
        return paths

    def check_old(self, old):
        assert [path.read_text() for path in old] == ["old", "old"]

    @pytest.mark.parametrize("table_name", ["_faces", "_frames"])
    @pytest.mark.parametrize(
        "err",
        [SinkError("full"), OSError(28, "full"), UnicodeEncodeError("utf-8", "x", 0, 1, "no"), KeyboardInterrupt()],
    )
    def test_a_row_that_fails_in_either_table(self, make_result, monkeypatch, kind, name, old, table_name, err):
        sink = kind(old[0], LABELS)
        sink.write(make_result(0), None)

        def fail(rows):
            raise err

        with monkeypatch.context() as patch:
            patch.setattr(getattr(sink, table_name), "append", fail)
            with pytest.raises(type(err)):
                sink.write(make_result(1), None)
        with pytest.raises(
            SinkError, match=rf"{name} is incomplete; .*a\.\d+\.part.* holds the rows before\. Fix: see"
        ):
            sink.close()
        self.check_old(old)
        left = rows_of(unfinished_path(old[0]))
        assert left[0]["frame"] == 0, "what was written is still to be had"
        assert sink.files == ()

    @pytest.mark.parametrize("table_name", ["_faces", "_frames"])
    def test_either_table_that_cannot_be_completed(self, make_result, monkeypatch, kind, name, old, table_name):
        sink = kind(old[0], LABELS)
        sink.write(make_result(0), None)

        def fail():
            raise SinkError("full")

        monkeypatch.setattr(getattr(sink, table_name), "complete", fail)
        with pytest.raises(SinkError, match="full"):
            sink.close()
        self.check_old(old)
        assert sorted(path.name for path in old[0].parent.iterdir() if "joined" in path.name) == []

    def test_names_that_are_no_utf8(self, tmp_path, make_result, kind, name):
        with kind(tmp_path / name, LABELS) as sink:
            sink.write(make_result(0, name=os.fsdecode(b"pic\xff\n.png")), None)
        assert [row["name"] for row in rows_of(tmp_path / f"a.frames{Path(name).suffix}")] == [r"pic\xff\n.png"]

    @pytest.mark.parametrize("relative", ["12:30.X", "a:b.X", "s3:x.X", "-o.X"])
    def test_any_name_of_a_file(self, tmp_path, monkeypatch, make_result, kind, name, relative):
        monkeypatch.chdir(tmp_path)
        path = Path(relative.replace(".X", Path(name).suffix))
        with kind(path, LABELS) as sink:
            sink.write(make_result(0), None)
        assert len(rows_of(tmp_path / path)) == 1


_ENDLESS = """
import sys
from pathlib import Path
import numpy as np
from fer_deploy.live.sinks import {kind}
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

emotion = Emotion("bright", 0.75, Probabilities.from_dict({{"dark": 0.25, "bright": 0.75}}))
face = FaceResult(TrackedFace(1, Detection(Box(1, 2, 3, 4))), emotion, emotion, person=1)
sink = {kind}(Path(sys.argv[1]), ("dark", "bright"))
index = 0
while True:
    sink.write(FrameResult(Frame(np.zeros((1, 1, 3), np.uint8), index, index / 10, 0), (face,)), None)
    index += 1
    if index == 12_000:
        print("enough", flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "name", "least"), [("CsvSink", "a.csv", 12_000), ("ParquetSink", "a.parquet", 10_000)]
)
def test_a_killed_run_leaves_whole_rows(tmp_path, kind, name, least):
    program = _ENDLESS.format(kind=kind)
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / name)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == b"enough\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    suffix = Path(name).suffix
    left = tmp_path / f"a.{process.pid}.part{suffix}"
    if suffix == ".csv":
        assert left.read_text().endswith("\n")
        rows = rows_of(left)
    else:
        rows = pq.read_table(left).to_pylist()
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    assert len(rows) >= least
