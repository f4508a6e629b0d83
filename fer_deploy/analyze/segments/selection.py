"""Selection: which frames of a recording are analyzed: a range of its time, and so many of them a second."""

import math
from typing import Final, NamedTuple

ROUNDING_S: Final = 1e-6
"""Tolerance: in floating point, ten times a tenth of a second is slightly less than a second."""


class Selection(NamedTuple):
    """A range of time, and how many of its frames are analyzed.

    The range is cut into slots of 1 / `sample_fps` seconds, and the first frame of each slot is analyzed. So it depends
    only on the times of two frames whether the second one is, and any process finds the same frames.

    Attributes:
        start_s: seconds from the beginning of the recording.
        end_s: seconds; exclusive. None: to its end.
        sample_fps: slots a second; None: every frame is analyzed.
    """

    start_s: float = 0.0
    end_s: float | None = None
    sample_fps: float | None = None

    def is_before(self, time_s: float) -> bool:
        """Return whether a time lies before the range."""
        return time_s < self.start_s - ROUNDING_S

    def is_after(self, time_s: float) -> bool:
        """Return whether a time lies after the range."""
        return self.end_s is not None and time_s >= self.end_s - ROUNDING_S

    def keeps(self, time_s: float, before_s: float | None) -> bool:
        """Return whether a frame of the range is analyzed.

        Args:
            time_s: of the frame.
            before_s: of the frame before it in the recording; None for the first.
        """
        if self.sample_fps is None or before_s is None or self.is_before(before_s):
            return True
        return self._slot(time_s) > self._slot(before_s)

    def _slot(self, time_s: float) -> int:
        assert self.sample_fps is not None
        return math.floor((time_s - self.start_s + ROUNDING_S) * self.sample_fps)

    def num_expected(self, num_announced: int | None, fps: float) -> int | None:
        """Estimate how many frames are analyzed, from the number of frames of the whole recording; None if unknown."""
        if self == ALL_FRAMES or not num_announced or not fps:
            return num_announced
        until_s = num_announced / fps
        span_s = max(0.0, min(until_s, until_s if self.end_s is None else self.end_s) - self.start_s)
        return math.ceil(span_s * min(fps, self.sample_fps or fps) - ROUNDING_S)


ALL_FRAMES: Final = Selection()
