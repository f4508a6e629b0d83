"""Which failure of a loop is told when there are several, and threads that cannot start."""

import threading

import pytest
from integration.live_fakes import GUARD_S, CountingSink, ScriptedSource, make_pipeline, run_guarded

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, StreamError


def test_what_ended_the_run_is_told_and_not_the_camera_that_was_lost_before(caplog):
    lost, gone = threading.Event(), StreamError("camera 1 was unplugged")
    broken = ScriptedSource(2, is_live=True, error=gone, before=lambda index: index == 2 and lost.set())
    other = ScriptedSource(None, is_live=True, before=lambda index: index == 3 and lost.wait(GUARD_S))
    engine = FakeEngine(fail_at_call=8)
    with pytest.raises(EngineError, match="told to fail at call 8"):
        run_guarded(make_pipeline([broken, other], [], engine=engine))
    assert "camera 1 was unplugged" in caplog.text


def test_a_camera_that_was_lost_is_told_when_the_others_are_stopped():
    lost = threading.Event()
    broken = ScriptedSource(2, is_live=True, error=StreamError("unplugged"))
    broken.close = lost.set
    sink = CountingSink(after=lambda index: lost.is_set() and pipeline.stop())
    pipeline = make_pipeline([broken, ScriptedSource(None, is_live=True)], [sink])
    with pytest.raises(StreamError, match="unplugged"):
        run_guarded(pipeline)


@pytest.mark.parametrize("refused", ["fer-sink-sink", "fer-analyze", "fer-capture"])
@pytest.mark.parametrize("iterate", [False, True])
def test_a_thread_that_cannot_start(refused, iterate, monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    source, sink = ScriptedSource(None), CountingSink()
    with pytest.raises(EngineError, match=r"can't start new thread\. Fix: raise the limit"):
        for _ in make_pipeline(source, [sink]) if iterate else [run_guarded(make_pipeline(source, [sink]))]:
            pass
    assert (source.num_closed, sink.num_closed) == (1, 1)
