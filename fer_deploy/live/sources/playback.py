"""PacedSource and LoopedSource: play a recording at its own speed, or repeatedly."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.base import Source
from fer_deploy.vision.types import Frame


class PacedSource(Source):
    """A recording played at its own speed, like a camera: frames that are not processed in time are lost.

    The schedule counts from the first frame; a late frame does not delay the next ones. Frames of a source that proves
    to be live are passed on unchanged.
    """

    is_live = True

    def __init__(self, source: Source, *, fps: float | None = None) -> None:
        """Play a recording.

        Args:
            source: the recording; stopped and closed with this source.
            fps: frames per second; None: the recording's own rate.
        """
        super().__init__()
        self._source, self._wanted_fps = source, fps
        self.name, self.num_frames, self.health = source.name, source.num_frames, source.health
        self.fps, self.notes = fps or source.fps, source.notes

    def frames(self) -> Iterator[Frame]:
        """Yield each frame at its `time_s`; `captured_ns` is this moment, after decoding."""
        started_ns: int | None = None
        for frame in self._source.frames():
            if self._source.is_live:  # it proved to be live: no pacing is needed
                yield frame
                continue
            now_ns = time.monotonic_ns()
            time_s = frame.index / self._wanted_fps if self._wanted_fps else frame.time_s
            if started_ns is None:
                started_ns = now_ns - int(time_s * 1e9)
            wait_s = (started_ns - now_ns) / 1e9 + time_s
            if wait_s > 0 and self._stopped.wait(wait_s):
                return
            yield replace(frame, time_s=time_s, captured_ns=time.monotonic_ns())

    @property
    def may_end(self) -> bool:
        """Whether the source is a recording, which is only played like a camera."""
        return self._source.may_end

    def stop(self) -> None:
        """End at once, even while waiting for the next frame."""
        super().stop()
        self._source.stop()

    def close(self) -> None:
        """Close the recording."""
        self._source.close()


class LoopedSource(Source):
    """A recording played repeatedly without a gap in index and time, for benchmarks and soak tests."""

    is_live = False

    def __init__(self, open_again: Callable[[], Source], *, num_frames: int | None = None) -> None:
        """Loop a recording.

        Args:
            open_again: opens the recording; called for each repetition.
            num_frames: end after this many frames, even within a repetition; None: never.

        Raises:
            StreamError: the recording cannot be opened.
        """
        super().__init__()
        self._open_again = open_again
        self._source = open_again()
        self.name, self.fps, self.num_frames = self._source.name, self._source.fps, num_frames
        self.notes = self._source.notes

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of all repetitions; raises StreamError if a repetition has none."""
        index, offset_s = 0, 0.0
        while True:
            num_before, last_s, step_s = index, 0.0, 1 / self.fps
            for frame in self._source.frames():
                if index == self.num_frames or self._stopped.is_set():
                    return
                yield replace(frame, index=index, time_s=offset_s + frame.time_s)
                index, step_s, last_s = index + 1, max(frame.time_s - last_s, 0) or step_s, frame.time_s
            if self._stopped.is_set():
                return
            if index == num_before:
                raise StreamError(f"{self.name} gave no frame when it was played again. Fix: check the file")
            self.health.num_corrupt += self._source.health.num_corrupt
            offset_s += last_s + step_s
            self._source.close()
            self._source = self._open_again()

    def stop(self) -> None:
        """End at once."""
        super().stop()
        self._source.stop()

    def close(self) -> None:
        """Close the current repetition."""
        self._source.close()
