"""A sink that wants the main thread, as a window does: its end is the loop's, its failure only its own."""

import threading
import time

import pytest
from integration.live_fakes import CountingSink, ScriptedSource, make_pipeline, run_guarded

from fer_deploy.errors import SinkError
from fer_deploy.live import ending


class Window(CountingSink):
    """Slow, as one that shows a recording at its own speed: results always wait for it."""

    needs_main_thread = True
    live_capacity = 1

    def write(self, result, picture):
        self.thread = threading.current_thread().name
        time.sleep(0.01)
        return super().write(result, picture)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """A worker that waits for the main thread would be given up, and that is an error."""
    monkeypatch.setattr(ending, "GRACE_S", 1.0)


@pytest.mark.parametrize("is_live", [False, True])
def test_stop(is_live):
    window, other = Window(), CountingSink()
    pipeline = make_pipeline(ScriptedSource(None, is_live=is_live), [window, other])
    window._after = lambda index: len(window.indices) == 3 and pipeline.stop()
    run_guarded(pipeline)
    assert (window.num_closed, other.num_closed) == (1, 1)
    assert window.thread == "test-run"


@pytest.mark.parametrize("is_live", [False, True])
def test_asking_to_end(is_live):
    window, other = Window(stop_at=3), CountingSink()
    run_guarded(make_pipeline(ScriptedSource(None, is_live=is_live), [window, other]))
    assert len(window.indices) == 4
    assert (window.num_closed, other.num_closed) == (1, 1)


def test_a_failure_ends_a_recording():
    window, other = Window(fail_at=3), CountingSink()
    with pytest.raises(SinkError, match="Input/output error"):
        run_guarded(make_pipeline(ScriptedSource(None), [window, other]))
    assert (window.num_closed, other.num_closed) == (1, 1)


def test_a_failure_leaves_a_live_loop_running():
    window, other = Window(fail_at=1), CountingSink()
    pipeline = make_pipeline(ScriptedSource(None, is_live=True), [window, other], max_frames=200)
    with pytest.raises(SinkError, match="Input/output error"):
        run_guarded(pipeline)
    assert pipeline.snapshot().num_frames == 200
    assert (window.num_closed, other.num_closed) == (1, 1)


def test_the_end_of_a_recording_is_shown_whole():
    window = Window()
    run_guarded(make_pipeline(ScriptedSource(30), [window]))
    assert window.indices == list(range(30))
    assert window.num_closed == 1
