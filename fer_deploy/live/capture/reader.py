"""Reader: the interface of a camera or stream in the capture process."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ReadFailure(Exception):
    """The source could not be opened, or failed. The text gives the reason and may contain the URL."""


class Reader(Protocol):
    """An opened camera or stream; any call may block forever."""

    @property
    def fps(self) -> float:
        """Frames per second, as announced."""
        ...

    @property
    def num_frames(self) -> int | None:
        """Number of frames, as announced; None if unknown."""
        ...

    @property
    def is_endless(self) -> bool:
        """Whether it is live, not a recording."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about how it is read."""
        ...

    @property
    def num_corrupt(self) -> int:
        """Number of damaged frames so far."""
        ...

    def grab(self) -> bool:
        """Wait for the next frame, which may be damaged, without converting it. Return False at the end.

        Raises:
            ReadFailure: the source failed.
        """
        ...

    def retrieve(self) -> NDArray[np.uint8] | None:
        """Return the last grabbed frame, (H, W, 3) BGR; None if it is damaged."""
        ...

    def position_s(self) -> float | None:
        """Return the last grabbed frame's position in a recording, or None."""
        ...
