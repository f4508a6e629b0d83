"""PictureSource: a folder of pictures, or a single one."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import StreamError
from fer_deploy.live.sources.base import Source
from fer_deploy.live.sources.jpeg import breaks_off
from fer_deploy.vision.types import Frame

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
PICTURES_FPS = 2.0


class PictureSource(Source):
    """Pictures as frames, in the order of their names. Those that cannot be decoded are skipped and counted."""

    is_live = False
    fps = PICTURES_FPS

    def __init__(self, paths: list[Path]) -> None:
        super().__init__()
        self.num_frames = len(paths)
        self.name = str(paths[0] if len(paths) == 1 else paths[0].parent)
        self._paths = paths

    def frames(self) -> Iterator[Frame]:
        """Yield each picture; index and time tell its place among the names, also behind one that was skipped.

        Raises:
            StreamError: none of them can be decoded.
        """
        for index, path in enumerate(self._paths):
            if self._stopped.is_set():
                return
            try:
                pixels = read_picture(path)
            except StreamError as err:
                self.health.num_corrupt += 1
                self.health.last_error = str(err)
                continue
            yield Frame(pixels, index, index / self.fps, time.monotonic_ns(), path.name)
        if self.health.num_corrupt == len(self._paths):
            raise StreamError(self.health.last_error)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 BGR, upright as its EXIF says.

    Raises:
        StreamError: it cannot be read or decoded, or is a JPEG that breaks off.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise StreamError(f"cannot read {path}: {err.strerror}. Fix: check its permissions") from err
    if breaks_off(data):
        raise StreamError(f"{path} breaks off. Fix: restore or remove the file")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise StreamError(f"cannot decode {path} as a picture. Fix: restore or remove the file")
    return np.asarray(picture, dtype=np.uint8)


def open_folder(folder: Path) -> PictureSource:
    """Return the pictures of a folder, not of its subfolders; StreamError where there are none, or none can be seen."""
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as err:
        raise StreamError(f"cannot look into {folder}: {err.strerror}. Fix: check its permissions") from err
    if not paths:
        raise StreamError(
            f"{folder} holds no pictures ({', '.join(PICTURE_SUFFIXES)}). Fix: name a folder that does; "
            f"videos one by one, or fer-deploy analyze {folder}/*.mp4"
        )
    return PictureSource(paths)
