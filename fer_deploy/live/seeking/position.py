"""Position: the state of reading a recording before one frame, from which another reader continues exactly."""

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.clock import ClockState

PROOF_FRAMES: Final = 3
"""Frames that are compared: after damage, a keyframe may be intact and the frames after it not."""


class SeekFailed(StreamError):
    """A recording could not be continued at a position in this way."""


class Position(BaseModel):
    """The state before a frame. Two readers with equal positions, from their own decoding, yield the same frames.

    Attributes:
        index: of the frame.
        pts: its presentation time in ticks; None if the file gives none.
        clock: before this frame.
        size: width and height of the frame before; None before the first.
        shown_until_s: end of the frames before, on the clock of the file.
        num_size_changes: before this frame.
        num_corrupt: corrupt frames and packets read until the frame was decoded.
        num_packets: packets read until the frame was decoded; None if the position is predicted.
        damaged_until: packets read until the last corrupt one; 0 if there was none.
        digest: of the pixels of this frame and of those after it, `PROOF_FRAMES` in all or up to the end; empty if the
            position is predicted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: int
    pts: int | None
    clock: ClockState = ClockState()
    size: tuple[int, int] | None = None
    shown_until_s: float = 0.0
    num_size_changes: int = 0
    num_corrupt: int = 0
    num_packets: int | None = None
    damaged_until: int = 0
    digest: str = ""

    @property
    def is_predicted(self) -> bool:
        """Whether it comes from an index, not from decoding."""
        return not self.digest


def digest_of(frames_bgr: Iterable[NDArray[np.uint8]]) -> str:
    """Return a digest of the pixels of frames (H, W, 3) uint8, and of their shapes."""
    digest = hashlib.sha256()
    for frame_bgr in frames_bgr:
        digest.update(str(frame_bgr.shape).encode())
        digest.update(np.ascontiguousarray(frame_bgr).data)
    return digest.hexdigest()
