"""Cover faces in frames, so that nobody is recognized in recordings, page and window."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import Box, FrameResult

Method = Literal["blur", "pixelate", "box"]
_MARGIN: Final = 0.25
"""Of a box's sides that is covered on each side of it: hair, ears and chin."""
_BLOCKS: Final = 6
"""Of a pixelated face along its longer side."""
_BLUR_BLOCKS: Final = 3
"""The same of a blurred one: with 6, YuNet still finds some of the faces in a clip of two people."""
_BOX_GRAY: Final = 64


def anonymized(result: FrameResult, method: Method | None) -> FrameResult:
    """Return the result with a frame in which all faces are covered, (H, W, 3) uint8 BGR and read-only.

    Covered are the faces of the result and its `hidden` places, each with a margin.

    Args:
        result: with pixels. Its frame is not changed.
        method: blur, pixelate, or a gray box, which keeps nothing of the face; None returns the same result.
    """
    boxes = [face.box for face in result.faces] + list(result.hidden)
    if method is None or not boxes or not result.frame.frame_bgr.size:
        return result
    picture = result.frame.frame_bgr.copy()
    for box in boxes:
        height, width = picture.shape[:2]
        place = with_margin(box, (width, height))
        part = picture[place.y1 : place.y2, place.x1 : place.x2]
        part[:] = _METHODS[method](part)
    picture.flags.writeable = False
    return replace(result, frame=replace(result.frame, frame_bgr=picture))


def with_margin(box: Box, size: tuple[int, int]) -> Box:
    """Return a larger box inside a frame of this width and height."""
    across, down = round(_MARGIN * (box.x2 - box.x1)), round(_MARGIN * (box.y2 - box.y1))
    width, height = size
    return Box(max(0, box.x1 - across), max(0, box.y1 - down), min(width, box.x2 + across), min(height, box.y2 + down))


def _coarse(part: NDArray[np.uint8], num: int, interpolation: int) -> NDArray[np.uint8]:
    """Return a copy of the same size that has the detail of `num` pixels along the longer side."""
    height, width = part.shape[:2]
    scale = num / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    few = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=interpolation), dtype=np.uint8)


_METHODS: Final[Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]] = {
    "blur": lambda part: _coarse(part, _BLUR_BLOCKS, cv2.INTER_LINEAR),
    "pixelate": lambda part: _coarse(part, _BLOCKS, cv2.INTER_NEAREST),
    "box": lambda part: np.full_like(part, _BOX_GRAY),
}
