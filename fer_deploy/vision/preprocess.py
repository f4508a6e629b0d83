"""Turn boxes into the network's input. The counterpart of fer_train's `resize_face`; a test holds them equal."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.spec import InputSpec
from fer_deploy.vision.types import Box


def gray_from_bgr(frame_bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W) uint8 luma (ITU-R BT.601) of (H, W, 3) uint8."""
    return np.asarray(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def images_from_boxes(frame_gray: NDArray[np.uint8], boxes: list[Box], spec: InputSpec) -> NDArray[np.uint8]:
    """Cut out each box and resize it; no normalization, which is inside the graph.

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
    height, width = crop_gray.shape
    if (height, width) == (spec.height, spec.width):
        return crop_gray
    shrinks = height >= spec.height and width >= spec.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(crop_gray, (spec.width, spec.height), interpolation=interpolation), dtype=np.uint8)
from fer_deploy.settings import Settings
class CropConfig(Settings):
    pass
def images_from_faces(frame_bgr, detections, spec, crop):
    return images_from_boxes(gray_from_bgr(frame_bgr), [d.box for d in detections], spec)
