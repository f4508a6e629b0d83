"""Frames of clips, and how much two boxes overlap. Imports nothing that the loops of fps.py would have to pay for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray


def read_clip(path: str | Path) -> Iterator[NDArray[np.uint8]]:
    """Yield its frames, (H, W, 3) uint8 BGR.

    Raises:
        click.UsageError: it has none.
    """
    capture = cv2.VideoCapture(str(path))
    num = 0
    while (read := capture.read())[0]:
        num += 1
        yield np.asarray(read[1], dtype=np.uint8)
    capture.release()
    if num == 0:
        raise click.UsageError(f"{path} has no frame. Fix: another --clip")


def looped_frames(path: str | Path, num: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `num` frames, opening the clip anew at its end."""
    count = 0
    while count < num:
        for frame in read_clip(path):
            if count == num:
                return
            yield frame
            count += 1


def fps_of(path: Path) -> float:
    """Return the frames per second that a clip announces."""
    capture = cv2.VideoCapture(str(path))
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    capture.release()
    return fps


def iou(one: Any, other: Any) -> float:
    """Return the share of their union, 0 to 1, that two boxes of x1, y1, x2, y2 have in common."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return float(shared / (areas - shared))
