"""Check the pictures, crops and boxes given to `Recognizer` and convert them to one form."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import EngineError, StreamError
from fer_deploy.live.sources.pictures import read_picture
from fer_deploy.privacy.redaction import without_password
from fer_deploy.spec import InputSpec
from fer_deploy.vision.preprocess import gray_from_bgr, resize_crop
from fer_deploy.vision.types import Box, Detection

Picture = str | Path | bytes | NDArray[np.uint8]
"""A picture file, its bytes, or an array: (H, W, 3) uint8 BGR or (H, W) uint8 gray."""
Boxes = Sequence[Box | Sequence[float]] | NDArray[Any]
"""Faces of one picture, each (x1, y1, x2, y2) in its pixels; x2 and y2 are exclusive."""
_ARRAY = "(H, W, 3) BGR or (H, W) gray, uint8"


def is_one_picture(value: object) -> bool:
    """Return whether this is a single picture, or a single wrong value, not several of them."""
    if isinstance(value, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray):
        return True
    return not isinstance(value, Iterable) or hasattr(value, "read")  # an open file would yield its lines


def paired(pictures: Iterable[Picture], boxes: Iterable[Boxes | None] | None) -> Iterable[tuple[Picture, Any]]:
    """Return each picture with its boxes, or None.

    Raises:
        EngineError: `boxes` is not one entry a picture.
    """
    if boxes is None:
        return ((picture, None) for picture in pictures)
    if not isinstance(boxes, Iterable):
        raise _no_boxes(boxes, "the pictures")
    listed, of_each = list(pictures), list(boxes)
    if len(of_each) != len(listed):
        raise EngineError(
            f"{len(listed)} pictures and boxes for {len(of_each)} were given, expected boxes for each picture. "
            "Fix: None for a picture whose faces are to be found, [] for one without faces"
        )
    return zip(listed, of_each, strict=True)


def bgr_from_picture(picture: Picture, *, name: str) -> NDArray[np.uint8]:
    """Return a picture as (H, W, 3) uint8 BGR; errors call an array `name`.

    Raises:
        StreamError: a file that cannot be read, or that is not a picture.
        EngineError: an array of another dtype or shape, or another type.
    """
    pixels = _pixels(picture, name=name)
    return pixels if pixels.ndim == 3 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def images_from_crops(crops: Iterable[Picture] | NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Return crops of any size as (N, 1, height, width) uint8, the input of the network.

    Args:
        crops: pictures, each of one face; or one array of them, (N, H, W) gray or (N, H, W, 3) BGR.
        spec: size of the network's input.

    Raises:
        StreamError, EngineError: as `bgr_from_picture`.
    """
    images = []
    for number, crop in enumerate(_each(crops)):
        pixels = _pixels(crop, name=f"crop {number}")
        images.append(resize_crop(pixels if pixels.ndim == 2 else gray_from_bgr(pixels), spec))
    return np.array(images, dtype=np.uint8).reshape(len(images), 1, spec.height, spec.width)


def detections_from_boxes(boxes: Boxes, frame_bgr: NDArray[np.uint8], *, name: str) -> list[Detection]:
    """Return a caller's boxes, in their order, rounded to pixels and clipped to the picture.

    Raises:
        EngineError: a box is not four numbers, or has no pixel of the picture.
    """
    corners = _corners(boxes, name)
    height, width = frame_bgr.shape[:2]
    inside = np.clip(np.rint(corners), 0, [width, height, width, height]).astype(np.intp)
    for number, (x1, y1, x2, y2) in enumerate(inside.tolist()):
        if x2 <= x1 or y2 <= y1:
            given = ", ".join(f"{value:g}" for value in corners[number])
            raise EngineError(
                f"box {number} of {name}, ({given}), has no pixel of the {width}x{height} picture; expected "
                "(x1, y1, x2, y2) in its pixels, x2 > x1 and y2 > y1. Fix: leave the box out, or turn "
                "(x, y, width, height) into (x, y, x + width, y + height)"
            )
    return [Detection(Box(*box)) for box in inside.tolist()]


def _pixels(picture: Picture, *, name: str) -> NDArray[np.uint8]:
    """Return (H, W, 3) BGR or (H, W) gray, contiguous, uint8."""
    if isinstance(picture, np.ndarray):
        return _checked(picture, name)
    if isinstance(picture, bytes | bytearray | memoryview):
        return read_picture(bytes(picture), name=name)
    if not isinstance(picture, str | os.PathLike):
        fix = "numpy.asarray(...) of it; of a PIL image in RGB, numpy.asarray(image)[..., ::-1]"
        raise EngineError(
            f"{name} is {_named_type(picture)}, expected a path, the bytes of a picture file, or an array {_ARRAY}. "
            f"Fix: {'.read() of a file opened as binary' if hasattr(picture, 'read') else fix}"
        )
    text = os.fspath(picture)
    if not text:
        raise StreamError(f"the path of {name} is empty. Fix: name a picture file")
    if isinstance(picture, str) and "://" in text:
        raise StreamError(
            f"cannot read {without_password(text)}: an address, expected a picture file. Fix: download it; a video "
            "stream is read by Recognizer.stream, or fer-deploy live --source URL"
        )
    return read_picture(Path(os.fsdecode(text)))


def _checked(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    seen = f"{name} is an array {array.shape} {array.dtype}, expected {_ARRAY}"
    if array.dtype != np.uint8:
        raise EngineError(f"{seen}. Fix: scale the values to 0 to 255, then .astype(numpy.uint8)")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 3 and array.shape[2] == 4:
        raise EngineError(f"{seen}. Fix: leave the fourth channel out: [..., :3]")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise EngineError(f"{seen}. Fix: several pictures are a list; channels come last, in the order blue-green-red")
    if array.size == 0:
        raise EngineError(f"{seen}, with at least one pixel. Fix: leave it out")
    return np.ascontiguousarray(array)


def _each(crops: Iterable[Picture] | NDArray[np.uint8]) -> Iterable[Picture]:
    """Return the crops one by one; an array is split along its first axis."""
    if not isinstance(crops, np.ndarray):
        if is_one_picture(crops):
            return [crops]  # type: ignore[list-item]
        return crops
    if crops.ndim == 4 and crops.shape[1] == 1:
        return list(crops[:, 0])
    if (crops.ndim == 3 and crops.shape[2] not in (1, 3)) or (crops.ndim == 4 and crops.shape[3] in (1, 3)):
        return list(crops)
    if crops.size == 0:
        return []
    raise EngineError(
        f"crops are one array {crops.shape}, expected (N, H, W) gray or (N, H, W, 3) BGR, uint8. "
        "Fix: a list of crops; one crop is classify([crop])"
    )


def _corners(boxes: Boxes, name: str) -> NDArray[np.float64]:
    """Return (N, 4) finite numbers."""
    try:
        rows = [(b.x1, b.y1, b.x2, b.y2) if isinstance(b, Box) else tuple(map(float, b)) for b in boxes]
        corners = np.array(rows, dtype=np.float64).reshape(len(rows), 4 if not rows else -1)
    except (TypeError, ValueError, OverflowError) as err:
        raise _no_boxes(boxes, name) from err
    if corners.shape[1] != 4 or not np.isfinite(corners).all():
        raise _no_boxes(boxes, name)
    return corners


def _no_boxes(boxes: object, name: str) -> EngineError:
    return EngineError(
        f"boxes of {name} are {boxes!r:.100}, expected four finite numbers (x1, y1, x2, y2) a face. "
        "Fix: boxes=[(x1, y1, x2, y2), ...]; with several pictures, such a list for each"
    )


def _named_type(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
