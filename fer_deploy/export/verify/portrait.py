"""Provide real faces for verification without data: one public-domain portrait in many variants."""

import math
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np
from numpy.typing import NDArray

from fer_deploy.detectors.haar import HaarFinder
from fer_deploy.spec import InputSpec
from fer_deploy.vision.preprocess import CropConfig, gray_from_bgr, images_from_boxes
from fer_deploy.vision.types import Box

SOURCE = "variants of one public-domain portrait (Grace Hopper, US Navy, shipped with matplotlib)"
_SHIFTS = (-0.12, 0.0, 0.12)
_ZOOMS = (0.85, 1.0, 1.2)
_GAINS = (0.5, 1.0, 1.4)


def portrait_faces(spec: InputSpec) -> NDArray[np.uint8]:
    """Return (162, 1, H, W) uint8: the face that Haar finds, shifted, zoomed, darkened, brightened and mirrored."""
    encoded = np.frombuffer(_portrait_path().read_bytes(), dtype=np.uint8)
    picture_bgr = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    gray = gray_from_bgr(picture_bgr)
    face = HaarFinder(smallest_face=120).find(picture_bgr).boxes_xyxy[0]
    boxes = [_variant(face, dx, dy, zoom) for dx in _SHIFTS for dy in _SHIFTS for zoom in _ZOOMS]
    crops = images_from_boxes(gray, boxes, spec)
    lit = np.concatenate([np.clip(crops * gain, 0, 255).astype(np.uint8) for gain in _GAINS])
    return np.concatenate([lit, lit[..., ::-1]])


def _portrait_path() -> Path:
    return Path(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


def _variant(face: NDArray[np.float32], dx: float, dy: float, zoom: float) -> Box:
    """Return the live loop's square around the face, moved and zoomed."""
    x1, y1, x2, y2 = map(float, face)
    side = CropConfig().scale * math.sqrt((x2 - x1) * (y2 - y1))
    center_x, center_y = (x1 + x2) / 2 + dx * side, (y1 + y2) / 2 + dy * side
    half = side * zoom / 2
    return Box(round(center_x - half), round(center_y - half), round(center_x + half), round(center_y + half))
