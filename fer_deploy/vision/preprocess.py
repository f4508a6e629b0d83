"""Turn faces into the network's input. `resize_crop` is fer_train's `resize_face`; a test holds them equal."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fer_deploy.settings import Settings
from fer_deploy.spec import InputSpec
from fer_deploy.vision.types import Box, Detection


class CropConfig(Settings):
    """Which square around a detector's box the network sees. The defaults are measured: benchmarks/crop_margin.py."""

    scale: float = Field(default=1.15, gt=0, le=4, description="side of the square / square root of the box's area")
    shift: float = Field(default=-0.02, ge=-1, le=1, description="of the square downwards, in sides of it")
    upright: bool = Field(
        default=False,
        description="turn the face until its eyes are level, which "
        "loses accuracy on FER2013 (the network has seen faces that lean); needs landmarks",
    )


class _Square(NamedTuple):
    """Center and side in pixels of the frame; `roll` in degrees, clockwise, is how far the face leans."""

    x: float
    y: float
    side: float
    roll: float


def gray_from_bgr(frame_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W) uint8 luma (ITU-R BT.601) of (H, W, 3) uint8."""
    return np.asarray(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def images_from_faces(
    frame_bgr: NDArray[np.uint8], detections: Sequence[Detection], spec: InputSpec, crop: CropConfig
) -> NDArray[np.uint8]:
    """Cut out a square around each face and resize it; no normalization, which is inside the graph.

    Only what is cut out is turned gray. Squares that leave the frame repeat its outermost pixels.

    Args:
        frame_bgr: (H, W, 3) uint8.
        detections: boxes inside the frame and not empty.
        spec: size of the network's input.
        crop: how the square lies about the box.

    Returns:
        (N, 1, height, width) uint8, owned by the caller.
    """
    images = np.empty((len(detections), 1, spec.height, spec.width), dtype=np.uint8)
    for image, detection in zip(images, detections, strict=True):
        square = _square_of(detection, crop)
        image[0] = _upright(frame_bgr, square, spec) if square.roll else _level(frame_bgr, square, spec)
    return images


def images_from_boxes(frame_gray: NDArray[np.uint8], boxes: list[Box], spec: InputSpec) -> NDArray[np.uint8]:
    """Cut out each box as it is and resize it.

    Args:
        frame_gray: (H, W) uint8.
        boxes: inside the frame and not empty.
        spec: size of the network's input.

    Returns:
        (N, 1, height, width) uint8, owned by the caller.
    """
    images = np.empty((len(boxes), 1, spec.height, spec.width), dtype=np.uint8)
    for i, box in enumerate(boxes):
        images[i, 0] = resize_crop(frame_gray[box.y1 : box.y2, box.x1 : box.x2], spec)
    return images


def resize_crop(crop_gray: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Return the crop (H, W) as (spec.height, spec.width), averaging areas when it shrinks."""
    return _resized(crop_gray, spec.width, spec.height)


def _resized(crop_gray: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if crop_gray.shape == (height, width):
        return crop_gray
    shrinks = crop_gray.shape[0] >= height and crop_gray.shape[1] >= width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop_gray, (width, height), interpolation=interpolation), dtype=np.uint8)


def _square_of(detection: Detection, crop: CropConfig) -> _Square:
    box = detection.box
    side = crop.scale * math.sqrt((box.x2 - box.x1) * (box.y2 - box.y1))
    roll = _roll_of(detection) if crop.upright else 0.0
    down, x, y = crop.shift * side, (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    angle = math.radians(roll)
    return _Square(x - down * math.sin(angle), y + down * math.cos(angle), side, roll)


def _roll_of(detection: Detection) -> float:
    """Return the slope of the line from the right eye to the left one, in degrees; 0 without landmarks."""
    if detection.landmarks is None:
        return 0.0
    (right_x, right_y), (left_x, left_y) = detection.landmarks[:2]
    return math.degrees(math.atan2(left_y - right_y, left_x - right_x))


def _level(frame_bgr: NDArray[np.uint8], square: _Square, spec: InputSpec) -> NDArray[np.uint8]:
    return resize_crop(_cut_gray(frame_bgr, square.x, square.y, square.side), spec)


def _upright(frame_bgr: NDArray[np.uint8], square: _Square, spec: InputSpec) -> NDArray[np.uint8]:
    """Cut out the square's bounding one, bring it to the network's scale, then turn it and cut again."""
    angle = math.radians(square.roll)
    growth = abs(math.cos(angle)) + abs(math.sin(angle))
    width, height = math.ceil(spec.width * growth), math.ceil(spec.height * growth)
    around = _resized(_cut_gray(frame_bgr, square.x, square.y, square.side * growth), width, height)
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), square.roll, 1.0)
    turn = turn + np.array([[0, 0, (spec.width - width) / 2], [0, 0, (spec.height - height) / 2]])
    turned = cv2.warpAffine(around, turn, (spec.width, spec.height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.uint8)


def _cut_gray(frame_bgr: NDArray[np.uint8], x: float, y: float, side: float) -> NDArray[np.uint8]:
    """Return a square of about this side around x, y, (S, S) uint8 gray; beyond the frame its last pixels go on."""
    size = max(1, round(side))
    rows, above, below = _inside(round(y - size / 2), size, frame_bgr.shape[0])
    columns, left, right = _inside(round(x - size / 2), size, frame_bgr.shape[1])
    gray = gray_from_bgr(frame_bgr[rows, columns])
    if gray.shape == (size, size):
        return gray
    return np.asarray(cv2.copyMakeBorder(gray, above, below, left, right, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _inside(start: int, size: int, limit: int) -> tuple[slice, int, int]:
    """Return the part of a stretch that lies in 0 to `limit`, and how much of it lies before and behind.

    It is never empty: of a stretch that lies outside, the frame's nearest pixel stands for all.
    """
    first = min(max(start, 0), limit - 1)
    last = max(min(start + size, limit), 1)
    return slice(first, last), min(max(0, -start), size - 1), min(max(0, start + size - limit), size - 1)
