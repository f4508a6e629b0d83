"""Orientation: one of the eight ways to rotate or mirror a frame."""

import struct
from typing import Any, Final, NamedTuple

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_MATRIX: Final = struct.Struct("=9i")


class Orientation(NamedTuple):
    """The steps that make a stored frame upright: first transpose it, then flip it.

    Attributes:
        transposed: rows become columns.
        flipped_x: left and right are exchanged.
        flipped_y: top and bottom are exchanged.
    """

    transposed: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    @classmethod
    def from_matrix(cls, a: int, b: int, c: int, d: int) -> "Orientation":
        """Return the orientation nearest to a display matrix.

        Args:
            a: change of x for a step to the right.
            b: change of y for a step to the right.
            c: change of x for a step down.
            d: change of y for a step down.
        """
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @classmethod
    def from_frame(cls, picture: VideoFrame) -> "Orientation":
        """Return the orientation from the display matrix that FFmpeg attached to a frame; upright if there is none."""
        matrix: Any = picture.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
        if matrix is None or matrix.buffer_size < _MATRIX.size:
            return UPRIGHT
        a, b, _, c, d, *_ = _MATRIX.unpack(bytes(matrix)[: _MATRIX.size])
        return cls.from_matrix(a, b, c, d)

    def upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an upright view of the frame (H, W, C)."""
        if self.transposed:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if self.flipped_y else 1, :: -1 if self.flipped_x else 1]

    def upright_size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the upright frame."""
        return (height, width) if self.transposed else (width, height)


UPRIGHT: Final = Orientation()
