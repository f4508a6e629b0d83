"""Reader: what the capture process wants of a camera or stream."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ReadFailure(Exception):
    """It could not be opened, or broke; says why, perhaps quoting the address."""


class Reader(Protocol):
    """An opened camera or stream; any call may block for ever."""

    @property
    def fps(self) -> float:
        """As announced."""
        ...

    @property
    def num_frames(self) -> int | None:
        """As announced; None where nobody knows."""
        ...

    @property
    def is_endless(self) -> bool:
        """Whether it is live rather than a recording."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the way it is read."""
        ...

    @property
    def num_corrupt(self) -> int:
        """Damaged pictures so far."""
        ...

    def grab(self) -> bool:
        """Wait for the next picture, or a damaged one, without converting it. Return False at the end.

        Raises:
            ReadFailure: it broke.
        """
        ...

    def retrieve(self) -> NDArray[np.uint8] | None:
        """Return the picture grabbed last, (H, W, 3) BGR; None if that one was damaged."""
        ...

    def position_s(self) -> float | None:
        """Return where the picture grabbed last lies in a recording."""
        ...
