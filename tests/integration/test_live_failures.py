"""Every failure of the loop ends it at once, with the right error, and leaves nothing open."""

import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from integration.live_fakes import (
    GUARD_S,
    BlockingEngine,
    CountingSink,
    OneFaceDetector,
    ScriptedSource,
    num_video_frames,
    run_guarded,
)

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, SinkError, StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import JsonlSink, VideoSink


def fails(source, sinks, *, detector=None, engine=None):
    """Run a loop that must fail; return the error after checking that everything was closed once."""
    pipeline = LivePipeline(source, detector or OneFaceDetector(), engine or FakeEngine(), sinks)
    with pytest.raises((StreamError, EngineError)) as caught:
        run_guarded(pipeline)
    assert source.num_closed == 1
    assert all(sink.num_closed == 1 for sink in sinks if isinstance(sink, CountingSink))
    return caught.value


class TestSource:
    @pytest.mark.parametrize("num", [0, 1, 7])
    def test_stream_error_after_frames(self, num):
        sinks = [CountingSink(), CountingSink()]
        err = fails(ScriptedSource(num, error=StreamError("camera 0 delivered no further frame")), sinks)
        assert type(err) is StreamError
        assert (err.stage, err.exit_code, str(err)) == ("capture", 8, "camera 0 delivered no further frame")
        assert [sink.indices for sink in sinks] == [list(range(num))] * 2

    def test_unexpected_error_is_wrapped(self):
        sink = CountingSink()
        cause = ValueError("bad packet")
        err = fails(ScriptedSource(3, error=cause), [sink])
        assert type(err) is StreamError
        assert str(err) == "the capture thread failed: ValueError: bad packet"
        assert err.stage == "capture"
        assert err.__cause__ is cause
        assert sink.indices == [0, 1, 2]

    def test_close_fails(self):
        sink = CountingSink()
        err = fails(ScriptedSource(3, close_error=OSError("device busy")), [sink])
        assert str(err) == "the capture thread failed: OSError: device busy"
        assert sink.indices == [0, 1, 2]

    def test_live_source_fails_while_the_engine_works(self):
        release = threading.Event()
        engine = BlockingEngine(release)
        source = ScriptedSource(
            2,
            error=StreamError("unplugged"),
            is_live=True,
            before=lambda index: (index == 1 and engine.entered.wait(GUARD_S), index == 2 and release.set()),
        )
        sink = CountingSink()
        err = fails(source, [sink], engine=engine)
        assert (err.stage, str(err)) == ("capture", "unplugged")
        assert sink.indices == [0, 1]


class TestInfer:
    @pytest.mark.parametrize("is_live", [False, True])
    def test_engine_raises(self, is_live):
        sink = CountingSink()
        err = fails(ScriptedSource(None, is_live=is_live), [sink], engine=FakeEngine(fail_at_call=3))
        assert type(err) is EngineError
        assert (err.stage, err.exit_code) == ("infer", 7)
        assert "told to fail at call 3" in str(err)
        assert len(sink.indices) == 3
        assert is_live or sink.indices == [0, 1, 2]

    def test_detector_raises(self):
        sink = CountingSink()
        err = fails(ScriptedSource(None), [sink], detector=OneFaceDetector(fail_at=2))
        assert type(err) is EngineError
        assert str(err) == "the infer thread failed: RuntimeError: the cascade is broken"
        assert err.stage == "infer"
        assert sink.indices == [0, 1]

    def test_first_failure_wins(self):
        err = fails(
            ScriptedSource(None), [CountingSink(close_error=OSError("late"))], engine=FakeEngine(fail_at_call=0)
        )
        assert (err.stage, str(err)) == ("infer", "FakeEngine was told to fail at call 0")


class TestSinks:
    @pytest.mark.parametrize("is_live", [False, True])
    def test_write_raises(self, is_live):
        bad, good = CountingSink(fail_at=0), CountingSink()
        err = fails(ScriptedSource(None, is_live=is_live), [good, bad])
        assert type(err) is SinkError
        assert str(err) == "the sink thread failed: OSError: [Errno 5] Input/output error"
        assert (err.stage, err.exit_code) == ("sink", 8)
        assert isinstance(err.__cause__, OSError)
        assert (len(good.indices), bad.indices) == (1, [])

    def test_close_raises(self):
        bad, before, after = CountingSink(close_error=SinkError("incomplete")), CountingSink(), CountingSink()
        err = fails(ScriptedSource(3), [before, bad, after])
        assert (type(err), err.stage, str(err)) == (SinkError, "sink", "incomplete")
        assert before.indices == bad.indices == after.indices == [0, 1, 2]

    def test_write_error_is_not_hidden_by_close_error(self):
        """The first error is re-raised: the cause, not what follows from it."""
        err = fails(ScriptedSource(3), [CountingSink(fail_at=1, close_error=SinkError("incomplete"))])
        assert "Input/output error" in str(err)

    def test_disk_full_for_jsonl(self):
        other = CountingSink()
        err = fails(ScriptedSource(None), [JsonlSink(Path("/dev/full")), other])
        assert type(err) is SinkError
        assert str(err).startswith("cannot write /dev/full: No space left on device")

    def test_disk_full_for_video(self, monkeypatch, tmp_path):
        """What was recorded until then is whole and has its name."""
        free = iter([10**12] * 4)
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(next(free, 2**20)))
        path = tmp_path / "a.mp4"
        other = CountingSink()
        err = fails(ScriptedSource(None), [VideoSink(path, 10.0), other])
        assert type(err) is SinkError
        assert f"disk full: 1 MiB left for {path}, which holds the frames up to here" in str(err)
        assert num_video_frames(path) == 4
        assert other.num_closed == 1
        assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
