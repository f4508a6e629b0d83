"""PictureSource: a folder of pictures, or a single one."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.base import Source
from fer_deploy.vision.types import Frame

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
PICTURES_FPS = 2.0


class PictureSource(Source):
    """Pictures as frames, in the order of their names."""

    is_live = False
    fps = PICTURES_FPS

    def __init__(self, paths: list[Path]) -> None:
        super().__init__()
        self.num_frames = len(paths)
        self.name = str(paths[0].parent)
        self._paths = paths

    def frames(self) -> Iterator[Frame]:
        """Yield each picture; one that cannot be decoded is a StreamError."""
        for index, path in enumerate(self._paths):
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is None:
                raise StreamError(f"cannot decode {path} as a picture. Fix: restore or remove the file")
            yield Frame(np.asarray(picture, dtype=np.uint8), index, index / self.fps, time.monotonic_ns(), path.name)


def open_folder(folder: Path) -> PictureSource:
    """Return the pictures of a folder, not of its subfolders; StreamError where there are none."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        raise StreamError(f"{folder} holds no pictures ({', '.join(PICTURE_SUFFIXES)}). Fix: name a folder that does")
    return PictureSource(paths)
