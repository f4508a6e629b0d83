"""What a test records, and what it finds in the file."""

from pathlib import Path

import av
import cv2
import numpy as np


def picture_of(width: int, height: int, level: int = 120) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def frames_of(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]
