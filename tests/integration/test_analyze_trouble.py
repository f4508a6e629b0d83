"""Videos that are empty, broken or in the way, and disks that are full."""

import shutil
from collections import namedtuple

import av
import pyarrow.parquet as pq
import pytest
from integration.analyze_videos import SIZE, make_analysis, transport_stream, write_squares
from integration.live_fakes import num_video_frames

from fer_deploy.analyze import results
from fer_deploy.analyze.parts import Parts
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, SinkError, StreamError
from fer_deploy.live.sinks import CsvSink, ParquetSink
from fer_deploy.live.sinks.tables.rows import TableSink
from fer_deploy.live.sinks.video.joining import move_index_to_front

NUM = 3 * 24 + 5
Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def video(tmp_path):
    return write_squares(tmp_path / "squares.mp4", NUM)


def test_no_faces(tmp_path):
    summary = make_analysis(write_squares(tmp_path / "empty.mp4", 30, squares=0), tmp_path / "out").run()
    assert (summary.accounting.num_faces, summary.accounting.num_analyzed, summary.people) == (0, 30, ())
    assert "Nobody was followed" in (tmp_path / "out/empty/report.html").read_text()


def test_passers_by(tmp_path):
    summary = make_analysis(write_squares(tmp_path / "short.mp4", 12), tmp_path / "out").run()
    assert summary.people == ()
    assert (summary.passers_by.num_tracks, summary.passers_by.num_faces) == (2, 24)


def test_not_a_video(tmp_path):
    (tmp_path / "notes.mp4").write_text("no video\n" * 100)
    with pytest.raises(StreamError, match=r"cannot open the file as a video .*notes.mp4"):
        make_analysis(tmp_path / "notes.mp4", tmp_path / "out").run()
    assert not (tmp_path / "out").exists()


def test_no_such_file(tmp_path):
    with pytest.raises(StreamError, match=r"cannot read the video .*: No such file or directory. Fix: check path"):
        make_analysis(tmp_path / "absent.mp4", tmp_path / "out").run()


def test_a_file_that_breaks_off(video, tmp_path):
    half = tmp_path / "half.mp4"
    move_index_to_front(video, half)
    half.write_bytes(half.read_bytes()[: half.stat().st_size * 2 // 3])
    summary = make_analysis(half, tmp_path / "out").run()
    counts = summary.accounting
    with av.open(str(half)) as container:
        is_cut = [packet.is_corrupt for packet in container.demux(video=0) if packet.size]
    assert 10 < len(is_cut) < NUM - 10
    assert (counts.num_analyzed, counts.num_skipped) == (is_cut.count(False), is_cut.count(True))
    assert (counts.num_announced, counts.num_decoded) == (NUM, len(is_cut))
    assert counts.num_missing == NUM - len(is_cut)
    assert f"{counts.num_missing} frames fewer than it announces" in summary.trouble
    assert "fewer than it announces" in (tmp_path / "out/half/report.html").read_text()


@pytest.mark.parametrize("detect_every", [1, 3, 12])
@pytest.mark.parametrize("sizes", [(SIZE, (96, 128)), (SIZE, (64, 64)), ((64, 64), SIZE)])
def test_another_size_in_mid_stream(tmp_path, sizes, detect_every):
    """MPEG-TS can be concatenated; the second half is of another resolution."""
    halves = []
    for number, size in enumerate(sizes):
        half = write_squares(tmp_path / f"{number}.mp4", 30, size=size, squares=1)
        halves.append(transport_stream(half).read_bytes())
    path = tmp_path / "changes.ts"
    path.write_bytes(b"".join(halves))
    summary = make_analysis(path, tmp_path / "out", pipeline={"detect_every": detect_every}).run()
    assert (summary.num_size_changes, summary.picture_size) == (1, sizes[0])
    assert num_video_frames(tmp_path / "out/changes/annotated.mp4") == summary.accounting.num_analyzed == 60
    faces = pq.read_table(tmp_path / "out/changes/faces.parquet").to_pylist()
    for face in faces:
        width, height = sizes[face["frame"] >= 30]
        assert 0 <= face["x1"] < face["x2"] <= width
        assert 0 <= face["y1"] < face["y2"] <= height
        assert 0.5 < (face["x2"] - face["x1"]) / (face["y2"] - face["y1"]) < 2  # squares, some cut by the edge
    assert len(faces) == 60


def test_no_room_to_join(video, tmp_path, monkeypatch):
    monkeypatch.setattr("fer_deploy.analyze.joining.MIN_FREE_BYTES", 2**60)
    with pytest.raises(SinkError, match=r"joining the results .* needs .* Nothing is lost. Fix: free some space"):
        make_analysis(video, tmp_path / "out").run()
    monkeypatch.undo()
    assert make_analysis(video, tmp_path / "out").run().accounting.num_analyzed == NUM


def test_an_engine_that_fails_keeps_what_is_done(video, tmp_path):
    analysis = make_analysis(video, tmp_path / "out")
    analysis._models = analysis._models._replace(engine=FakeEngine(fail_at_call=8))
    with pytest.raises(EngineError, match="told to fail"):
        analysis.run()
    assert analysis.num_frames_kept == 24
    assert make_analysis(video, tmp_path / "out").run().accounting.num_analyzed == NUM


@pytest.mark.parametrize("kind", ["parquet", "csv", "mp4"])
def test_a_part_that_cannot_be_made_names_a_flag_of_analyze(video, tmp_path, monkeypatch, kind):
    path = Parts.path
    monkeypatch.setattr(Parts, "path", lambda self, n, of: (video / f"0.{of}") if of == kind else path(self, n, of))
    with pytest.raises(SinkError, match=r"cannot write .*: (Not a directory|File exists). Fix: another --out$"):
        make_analysis(video, tmp_path / "out").run()


def test_a_full_disk_names_a_flag_of_analyze(video, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk(2**30, 2**30 - 5, 5))
    with pytest.raises(SinkError, match=r"disk full: .* Fix: free some space, or another --out$"):
        make_analysis(video, tmp_path / "out").run()


@pytest.mark.parametrize("name", ["faces.parquet", "faces.csv", "faces.frames.parquet", "faces.frames.csv"])
@pytest.mark.parametrize("err", [OSError(28, "No space left on device"), RuntimeError("odd"), KeyboardInterrupt()])
def test_a_table_that_is_cut_short_has_no_name(video, tmp_path, monkeypatch, name, err):
    """Whatever ends the joining of any of the four tables: what has its name is whole, and the next run finishes."""
    folder = tmp_path / "out/squares"
    kind = "join_parquet" if name.endswith("parquet") else "join_csv"
    join = getattr(results, kind)

    def break_off(parts, path, **more):
        if (".frames." in path.name) != (".frames." in name):
            return join(parts, path, **more)
        path.write_bytes(b"half")
        raise err

    with monkeypatch.context() as patch:
        patch.setattr(results, kind, break_off)
        with pytest.raises(SinkError if isinstance(err, OSError) else type(err)):
            make_analysis(video, tmp_path / "out").run()
    assert not (folder / name).exists()
    assert not (folder / "summary.json").exists()
    assert not [path for path in folder.iterdir() if "part." in path.name]
    assert make_analysis(video, tmp_path / "out").run().accounting.num_analyzed == NUM
    assert (folder / name).exists()


@pytest.mark.parametrize("sink", [CsvSink, ParquetSink])
@pytest.mark.parametrize("table", ["_faces", "_frames"])
def test_a_part_that_is_cut_short_is_not_counted(video, tmp_path, monkeypatch, sink, table):
    write = TableSink.write

    def fail(self, result, picture):
        if isinstance(self, sink) and result.frame.index == 30:
            monkeypatch.setattr(getattr(self, table), "append", refuse)
        return write(self, result, picture)

    def refuse(rows):
        raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")

    with monkeypatch.context() as patch:
        patch.setattr(TableSink, "write", fail)
        with pytest.raises(SinkError, match=r"the (csv|parquet) sink failed: UnicodeEncodeError"):
            make_analysis(video, tmp_path / "out").run()
    parts = tmp_path / "out/squares/parts"
    finished = {f"000001.{infix}{sink.name}" for infix in ("", "frames.")}
    assert finished.isdisjoint(path.name for path in parts.iterdir())
    assert make_analysis(video, tmp_path / "out").run().accounting.num_analyzed == NUM
