"""PacedSource and LoopedSource: recordings played at their own speed, and again and again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.base import Source
from fer_deploy.vision.types import Frame


class PacedSource(Source):
    """A recording played at its own speed, as a camera would: whoever is late loses frames.

    The schedule counts from the first frame; a frame that was late does not delay the ones behind it. A source that
    proves to be live is passed on as it is.
    """

    is_live = True

    def __init__(self, source: Source, *, fps: float | None = None) -> None:
        """Play a recording.

        Args:
            source: stopped and closed with this.
            fps: play so many frames a second; None: as the recording says.
        """
        super().__init__()
        self._source, self._wanted_fps = source, fps
        self.name, self.num_frames, self.health = source.name, source.num_frames, source.health
        self.fps, self.notes = fps or source.fps, source.notes

    def frames(self) -> Iterator[Frame]:
        """Yield each frame when its `time_s` has come; `captured_ns` is that moment, decoding came before."""
        started_ns: int | None = None
        for frame in self._source.frames():
            if self._source.is_live:  # it proved to be: there is nothing to pace
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
        """True: it is a recording that is only played like a camera."""
        return self._source.may_end

    def stop(self) -> None:
        """End at once, also between two frames."""
        super().stop()
        self._source.stop()

    def close(self) -> None:
        """Close the recording."""
        self._source.close()


class LoopedSource(Source):
    """A recording played again and again without a gap in index and time, for benchmarks and soaks."""

    is_live = False

    def __init__(self, open_again: Callable[[], Source], *, num_frames: int | None = None) -> None:
        """Loop a recording.

        Args:
            open_again: opens it; called for each turn.
            num_frames: end after so many, also in the middle of a turn; None: never.

        Raises:
            StreamError: it cannot be opened.
        """
        super().__init__()
        self._open_again = open_again
        self._source = open_again()
        self.name, self.fps, self.num_frames = self._source.name, self._source.fps, num_frames
        self.notes = self._source.notes

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of all turns; StreamError as soon as a turn yields none."""
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
        """Close the turn that is open."""
        self._source.close()
