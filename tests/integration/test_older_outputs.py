"""An output that is incomplete, or without a frame, never replaces an older file, whatever ended the run."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from integration.full_disk import file_size_limit
from integration.live_fakes import CountingSink, ScriptedSource, make_pipeline, num_video_frames, run_guarded

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, SinkError, StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import CsvSink, JsonlSink, ParquetSink, VideoSink
from fer_deploy.live.sinks.tables import parquet_file

LABELS = FakeEngine().spec.labels
KINDS = {
    "a.csv": lambda path: CsvSink(path, LABELS),
    "a.parquet": lambda path: ParquetSink(path, LABELS),
    "a.jsonl": JsonlSink,
    "a.mp4": lambda path: VideoSink(path, 10.0),
}
TABLES = (".csv", ".parquet")


def num_frames_in(path: Path) -> int:
    """Count the frames of any output; a table of faces has one face a frame here."""
    if path.suffix == ".parquet":
        return pq.read_table(path).num_rows
    return num_video_frames(path) if path.suffix == ".mp4" else path.read_text().count("\n") - (path.suffix == ".csv")


@pytest.fixture(params=KINDS)
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.fixture
def old(path):
    """The older files of that output, with what they hold."""
    names = [path, path.with_name(f"a.frames{path.suffix}")] if path.suffix in TABLES else [path]
    for name in names:
        name.write_bytes(b"old")
    return names


def open_output(path):
    return KINDS[path.name](path)


def parts_of(path):
    return sorted(path.parent.glob("a.*.part.*"))


def run_fails(pipeline: LivePipeline, kind: type[Exception], words: str, *, on_progress=None) -> None:
    with pytest.raises(kind, match=words):
        run_guarded(pipeline, on_progress)


def fail_in_progress(snapshot):
    raise ValueError("of the caller")


ENDINGS = {
    "engine": (lambda: (ScriptedSource(None), [], FakeEngine(fail_at_call=9)), EngineError, "fail at call 9"),
    "another sink": (lambda: (ScriptedSource(None), [CountingSink(fail_at=12)], None), SinkError, "Input/output"),
    "source": (lambda: (ScriptedSource(12, error=StreamError("it gave up")), [], None), StreamError, "^it gave up$"),
    "source, live": (
        lambda: (ScriptedSource(12, error=StreamError("it gave up"), is_live=True), [], None),
        StreamError,
        "^it gave up$",
    ),
    "one of two sources": (
        lambda: ([ScriptedSource(12, error=StreamError("it gave up")), ScriptedSource(30)], [], None),
        StreamError,
        "^it gave up$",
    ),
    "source's close": (
        lambda: (ScriptedSource(12, close_error=OSError("device busy")), [], None),
        StreamError,
        "device busy",
    ),
    "the caller's progress": (lambda: (ScriptedSource(None), [], None), ValueError, "of the caller"),
}


@pytest.mark.parametrize("ending", ENDINGS)
class TestFailedRuns:
    def run(self, path, ending):
        """Run to that end; the error that is raised is the cause, not what follows for the output."""
        make, kind, words = ENDINGS[ending]
        source, others, engine = make()
        pipeline = make_pipeline(source, [open_output(path), *others], engine=engine)
        run_fails(pipeline, kind, words, on_progress=fail_in_progress if kind is ValueError else None)
        return pipeline.snapshot().sinks[0]

    def test_an_older_file_stays(self, path, old, ending):
        told = self.run(path, ending)
        assert [name.read_bytes() for name in old] == [b"old"] * len(old)
        part = next(part for part in parts_of(path) if "frames" not in part.name)
        assert num_frames_in(part) == told.num_written > 0, "what was analyzed is to be had"
        what = {".jsonl": "lines", ".mp4": "frames"}.get(path.suffix, "rows")
        assert told.failure == (
            f"{path} is unchanged; {part} has the {what} up to the failure. "
            "Fix: see what failed, and run again; or rename the file by hand"
        )
        assert told.files == ()

    def test_a_new_file_has_its_name(self, path, ending):
        told = self.run(path, ending)
        assert num_frames_in(path) == told.num_written > 0
        assert told.failure == ""
        assert parts_of(path) == []


class TestNoFrame:
    def run(self, path, source):
        pipeline = make_pipeline(source, [open_output(path)])
        pipeline.stop()
        snapshot = run_guarded(pipeline)
        assert snapshot.num_frames == 0
        return snapshot.sinks[0]

    @pytest.mark.parametrize("is_live", [False, True])
    def test_a_run_stopped_before_its_first_frame(self, path, old, is_live):
        source = ScriptedSource(0, is_live=is_live, before=lambda index: source.stop())
        told = self.run(path, source)
        assert [name.read_bytes() for name in old] == [b"old"] * len(old)
        assert (told.failure, told.files, parts_of(path)) == ("", (), [])

    def test_a_source_that_gives_none(self, path, old):
        run_fails(
            make_pipeline(ScriptedSource(0, error=StreamError("no camera")), [open_output(path)]),
            StreamError,
            "^no camera$",
        )
        assert [name.read_bytes() for name in old] == [b"old"] * len(old)
        assert parts_of(path) == []


def test_a_full_disk(path, old, monkeypatch):
    monkeypatch.setattr(parquet_file, "ROWS_PER_PART", 10)
    with file_size_limit(3_000):
        run_fails(
            make_pipeline(ScriptedSource(200), [open_output(path)]),
            SinkError,
            "cannot (write|finish|record to) .*(File too large|is incomplete)",
        )
    assert [name.read_bytes() for name in old] == [b"old"] * len(old)
    assert parts_of(path)


@pytest.mark.parametrize("older", ["a.csv", "a.frames.csv"])
def test_one_older_table_keeps_both_new_ones_from_their_names(tmp_path, older):
    (tmp_path / older).write_text("old")
    run_fails(
        make_pipeline(ScriptedSource(3, error=StreamError("it gave up")), [open_output(tmp_path / "a.csv")]),
        StreamError,
        "^it gave up$",
    )
    assert (tmp_path / older).read_text() == "old"
    assert len(parts_of(tmp_path / "a.csv")) == 2
    assert len(list(tmp_path.iterdir())) == 3


def test_behind_a_link_the_older_file_stays(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/b.csv").write_text("old")
    (tmp_path / "a.csv").symlink_to("there/b.csv")
    pipeline = make_pipeline(ScriptedSource(3, error=StreamError("it gave up")), [open_output(tmp_path / "a.csv")])
    run_fails(pipeline, StreamError, "^it gave up$")
    assert (tmp_path / "a.csv").read_text() == "old"
    (part,) = (tmp_path / "there").glob("b.*.part.csv")
    assert str(part) in pipeline.snapshot().sinks[0].failure
    assert num_frames_in(part) == 3


class TestWholeRuns:
    """What lacks nothing replaces the older file, also where something else failed."""

    def test_another_output_of_a_live_run_failed(self, path, old):
        source = ScriptedSource(12, is_live=True)
        pipeline = make_pipeline(source, [open_output(path), CountingSink(fail_at=0)])
        run_fails(pipeline, SinkError, "Input/output error")
        assert num_frames_in(path) == pipeline.snapshot().sinks[0].num_written > 0
        assert parts_of(path) == []

    def test_a_source_fails_beyond_the_last_frame_that_is_wanted(self, path, old):
        run_guarded(make_pipeline(ScriptedSource(5, error=StreamError("damaged")), [open_output(path)], max_frames=3))
        assert num_frames_in(path) == 3

    def test_a_run_that_was_stopped(self, path, old):
        pipeline = make_pipeline(ScriptedSource(None), [open_output(path), CountingSink(stop_at=4)])
        snapshot = run_guarded(pipeline)
        assert num_frames_in(path) == snapshot.num_frames > 0
        assert parts_of(path) == []


def test_the_cause_is_told_last_and_what_follows_before(tmp_path, caplog):
    """On the command line the error that is raised is printed at the end."""
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    run_fails(
        make_pipeline(ScriptedSource(3, error=StreamError("it gave up")), [JsonlSink(path)]), StreamError, "gave up"
    )
    (part,) = parts_of(path)
    assert [json.loads(line)["frame"] for line in part.read_text().splitlines()] == [0, 1, 2]
    assert [message.partition("; ")[0] for message in caplog.messages] == [f"{path} is unchanged"]
