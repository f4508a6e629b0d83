import threading
import time

import numpy as np
import pytest

from fer_deploy.errors import StreamError
from fer_deploy.live.sources import LoopedSource, PacedSource, Source, SyntheticSource
from fer_deploy.vision.types import Frame


class Recording(Source):
    """Frames at given times."""

    is_live = False
    name = "clip"

    def __init__(self, times, fps=100.0):
        super().__init__()
        self.fps, self.num_frames, self.num_closed = fps, len(times), 0
        self._times = times

    def frames(self):
        for index, time_s in enumerate(self._times):
            if self._stopped.is_set():
                return
            yield Frame(np.zeros((4, 4, 3), np.uint8), index, time_s, time.monotonic_ns(), f"{index}.png")
        self.health.num_corrupt = 1

    def close(self):
        self.num_closed += 1


class TestPaced:
    def test_no_frame_comes_before_its_time(self):
        source = PacedSource(Recording([0.0, 0.02, 0.1]))
        frames = list(source.frames())
        assert (source.is_live, source.fps, source.num_frames, source.name) == (True, 100.0, 3, "clip")
        assert [(f.index, f.time_s, f.name) for f in frames] == [
            (0, 0.0, "0.png"),
            (1, 0.02, "1.png"),
            (2, 0.1, "2.png"),
        ]
        since_first_s = [(frame.captured_ns - frames[0].captured_ns) / 1e9 for frame in frames]
        assert since_first_s[1] >= 0.0199
        assert since_first_s[2] >= 0.0999

    def test_late_consumer_does_not_shift_the_schedule(self):
        """A consumer that took 0.2 s gets the frames that were due meanwhile at once."""
        frames = PacedSource(Recording([0.0, 0.1, 0.15, 0.3])).frames()
        first = next(frames)
        threading.Event().wait(0.2)
        late = [next(frames), next(frames), next(frames)]
        assert (late[2].captured_ns - first.captured_ns) / 1e9 >= 0.299
        assert [frame.time_s for frame in late] == [0.1, 0.15, 0.3]

    def test_at_another_speed(self):
        source = PacedSource(Recording([0.0, 5.0, 10.0], fps=0.2), fps=50)
        frames = list(source.frames())
        assert source.fps == 50
        assert [frame.time_s for frame in frames] == pytest.approx([0, 0.02, 0.04])

    def test_stop_between_two_frames(self):
        source = PacedSource(Recording([0.0, 1000.0]))
        frames = source.frames()
        next(frames)
        threading.Timer(0.05, source.stop).start()
        assert list(frames) == []

    def test_closes_what_it_plays(self):
        recording = Recording([0.0])
        PacedSource(recording).close()
        assert recording.num_closed == 1


class TestLooped:
    def test_indices_and_times_go_on(self):
        opened = []

        def open_again():
            opened.append(Recording([0.0, 0.1, 0.2], fps=10))
            return opened[-1]

        source = LoopedSource(open_again, num_frames=8)
        frames = list(source.frames())
        source.close()
        assert source.num_frames == 8
        assert [frame.index for frame in frames] == list(range(8))
        assert [frame.time_s for frame in frames] == pytest.approx([i / 10 for i in range(8)])
        assert [recording.num_closed for recording in opened] == [1, 1, 1]
        assert source.health.num_corrupt == 2

    def test_single_picture(self):
        frames = list(LoopedSource(lambda: Recording([0.0], fps=2), num_frames=3).frames())
        assert [frame.time_s for frame in frames] == [0.0, 0.5, 1.0]

    def test_endless_until_stop(self):
        source = LoopedSource(lambda: Recording([0.0, 0.1]))
        frames = source.frames()
        assert [next(frames).index for _ in range(9)] == list(range(9))
        source.stop()
        assert list(frames) == []

    def test_recording_that_has_become_empty(self):
        recordings = iter([Recording([0.0]), Recording([])])
        with pytest.raises(StreamError, match=r"clip gave no frame when it was played again"):
            list(LoopedSource(lambda: next(recordings), num_frames=5).frames())


def test_synthetic_ends_at_stop():
    source = SyntheticSource()
    frames = source.frames()
    next(frames)
    source.stop()
    assert list(frames) == []
