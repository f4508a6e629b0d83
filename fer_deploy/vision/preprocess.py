"""Cut faces out of frames as the network's input. `resize_crop` equals fer_train's `resize_face`; a test checks it."""

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
    """The square around a detector's box that the network sees. Defaults measured by benchmarks/crop_margin.py."""

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
    """Cut out a square around each face, convert it to gray and resize it. The graph normalizes the pixels.

    Parts of a square outside the frame repeat its edge pixels.

    Args:
        frame_bgr: (H, W, 3) uint8.
        detections: boxes inside the frame and not empty.
        spec: size of the network's input.
        crop: size and position of the square relative to the box.

    Returns:
        (N, 1, height, width) uint8, owned by the caller.
    """
    images = np.empty((len(detections), 1, spec.height, spec.width), dtype=np.uint8)
    for image, detection in zip(images, detections, strict=True):
        square = _square_of(detection, crop)
        image[0] = _upright(frame_bgr, square, spec) if square.roll else _level(frame_bgr, square, spec)
    return images


def outside_of_crop(
    detection: Detection, frame_size: tuple[int, int], crop: CropConfig
) -> tuple[float, float, float, float]:
    """Return which shares of a face's square lie outside of the frame: at the left, above, at the right, below.

    Args:
        detection: the face.
        frame_size: width and height of the frame in pixels.
        crop: size and position of the square relative to the box.
    """
    square, (width, height) = _square_of(detection, crop), frame_size
    left, top = square.x - square.side / 2, square.y - square.side / 2
    beyond = (-left, -top, left + square.side - width, top + square.side - height)
    shares = [min(1.0, max(0.0, length / square.side)) for length in beyond]
    return shares[0], shares[1], shares[2], shares[3]


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
    """Cut out the square's bounding box, scale it to the network's size, then rotate it and crop it."""
    angle = math.radians(square.roll)
    growth = abs(math.cos(angle)) + abs(math.sin(angle))
    width, height = math.ceil(spec.width * growth), math.ceil(spec.height * growth)
    around = _resized(_cut_gray(frame_bgr, square.x, square.y, square.side * growth), width, height)
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), square.roll, 1.0)
    turn = turn + np.array([[0, 0, (spec.width - width) / 2], [0, 0, (spec.height - height) / 2]])
    turned = cv2.warpAffine(around, turn, (spec.width, spec.height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.uint8)


def _cut_gray(frame_bgr: NDArray[np.uint8], x: float, y: float, side: float) -> NDArray[np.uint8]:
    """Return a square of about this side around x, y as (S, S) uint8 gray; edge pixels fill what is outside."""
    size = max(1, round(side))
    rows, above, below = _inside(round(y - size / 2), size, frame_bgr.shape[0])
    columns, left, right = _inside(round(x - size / 2), size, frame_bgr.shape[1])
    gray = gray_from_bgr(frame_bgr[rows, columns])
    if gray.shape == (size, size):
        return gray
    return np.asarray(cv2.copyMakeBorder(gray, above, below, left, right, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _inside(start: int, size: int, limit: int) -> tuple[slice, int, int]:
    """Return the part of an interval inside 0 to `limit`, and its lengths before and after.

    The part is never empty: for an interval outside, it is the nearest pixel of the frame.
    """
    first = min(max(start, 0), limit - 1)
    last = max(min(start + size, limit), 1)
    return slice(first, last), min(max(0, -start), size - 1), min(max(0, start + size - limit), size - 1)
