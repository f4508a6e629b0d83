"""PictureSource: read a folder of pictures, or a single file with one or several."""

import logging
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import StreamError
from fer_deploy.live.file_names import natural_order, printable
from fer_deploy.live.sources.base import Source
from fer_deploy.vision.types import Frame

if TYPE_CHECKING:
    from fer_deploy.live.sources.picture_files.heic import HeicStill
    from fer_deploy.live.sources.stills import Still

HEIC_SUFFIXES: Final = (".heic", ".heif", ".hif")
_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})
PICTURE_SUFFIXES: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
    ".jfif",
    ".jpe",
    ".apng",
    ".avif",
    *HEIC_SUFFIXES,
)
IN_FOLDERS: Final = (*PICTURE_SUFFIXES, ".gif")
"""A single GIF is a video."""
PICTURES_FPS: Final = 2.0
_MOST_NAMES: Final = 10
_STARTS: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*")
_MJPEG: Final = (".mjpeg", ".mjpg")
"""Suffixes of films whose first bytes are those of a JPEG."""
_log = logging.getLogger(__name__)


class PictureSource(Source):
    """Pictures as frames, in the natural order of their names.

    Each picture, and each page of a TIFF, is independent, and its frame has the file's name. A single animation is a
    film. Files that cannot be decoded are skipped, counted and logged.
    """

    is_live = False

    def __init__(self, paths: Sequence[Path], *, folder: Path | None = None, notes: tuple[str, ...] = ()) -> None:
        """Create a source of files in this order. A single file without a folder is opened at once.

        Raises:
            StreamError: the single file cannot be decoded.
        """
        super().__init__()
        self.name, self.notes = printable(folder or paths[0]), notes
        self.fps, self.num_frames = PICTURES_FPS, len(paths)
        self._paths = paths
        self._single = open_still(paths[0]) if folder is None else None
        self._is_film = self._single is not None and self._single.is_film
        if self._single is not None:
            self.num_frames = self._single.num_frames
        if self._single is not None and self._is_film:
            self.fps = 1 / next(self._single.frames()).duration_s
        self._left = self._frames()

    def frames(self) -> Iterator[Frame]:
        """Yield each picture; index and time also count skipped ones.

        Raises:
            StreamError: no picture can be decoded.
        """
        yield from self._left

    def skip(self) -> bool:
        """Skip the next frame and return whether there was one."""
        return next(self._left, None) is not None

    def _frames(self) -> Iterator[Frame]:
        index, film_s, num_good = 0, 0.0, 0
        for path in self._paths:
            try:
                for pixels, duration_s in self._pictures_of(path):
                    if self._stopped.is_set():
                        return
                    yield self._frame(pixels, index, path, film_s)
                    index, film_s, num_good = index + 1, film_s + duration_s, num_good + 1
            except StreamError as err:
                index += 1
                self.health.num_corrupt += 1
                self.health.last_error = str(err)
                _log.warning("%s", err)
        if num_good == 0:
            raise StreamError(self.health.last_error)

    def _pictures_of(self, path: Path) -> Iterator[tuple[NDArray[np.uint8], float]]:
        still = self._single or open_still(path)
        if still is not self._single and self.num_frames is not None:
            self.num_frames += still.num_frames - 1
        yield from still.frames()

    def _frame(self, pixels: NDArray[np.uint8], index: int, path: Path, film_s: float) -> Frame:
        now_ns = time.monotonic_ns()
        if self._is_film:
            return Frame(pixels, index, film_s, now_ns)
        return Frame(pixels, index, index / self.fps, now_ns, printable(path.name))


def open_still(source: Path | bytes, *, name: str = "the content") -> "Still | HeicStill":
    """Open a picture file, or its bytes, with the matching decoder, which alone is imported; errors call bytes `name`.

    Raises:
        StreamError: it cannot be read, or is not a picture.
    """
    stills = _decoder("stills")
    content = stills.picture_bytes(source, name=name)
    if is_heic(content.data) or (isinstance(source, Path) and source.suffix.lower() in HEIC_SUFFIXES):
        heic: HeicStill = _decoder("picture_files.heic").HeicStill(content)
        return heic
    still: Still = stills.Still(content)
    return still


def _decoder(name: str) -> Any:
    return import_module(f"fer_deploy.live.sources.{name}")


def read_picture(source: Path | bytes, *, name: str = "the content") -> NDArray[np.uint8]:
    """Return the first picture of a file or of its bytes, (H, W, 3) uint8 BGR, upright and opaque.

    Args:
        source: the file, or its content.
        name: of bytes, for errors.

    Raises:
        StreamError: there is none.
    """
    return next(open_still(source, name=name).frames()).pixels


def is_heic(start: bytes) -> bool:
    """Return whether a file is a HEIC picture by its first twelve bytes; exports of phones are often named .jpg."""
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS


def is_picture(path: Path) -> bool:
    """Return whether a file is a still picture or an animation, by its suffix or else by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES or suffix in _MJPEG:
        return suffix not in _MJPEG
    start = _start_of(path)
    return start.startswith(_STARTS) or is_heic(start) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(12)
    except OSError:  # opening the file reports the reason
        return b""


def open_folder(folder: Path) -> PictureSource:
    """Return the pictures of a folder without its subfolders; raises StreamError as `pictures_in_folder`."""
    paths, notes = pictures_in_folder(folder)
    return PictureSource(paths, folder=folder, notes=notes)


def pictures_in_folder(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the picture files of a folder in natural order, without subfolders, and notes for the user.

    Raises:
        StreamError: there are none, or the folder cannot be read.
    """
    shown = printable(folder)
    try:
        entries = list(folder.iterdir())
        paths = [path for path in entries if path.suffix.lower() in IN_FOLDERS and path.is_file()]
    except OSError as err:
        raise StreamError(f"cannot read the folder {shown}: {err.strerror}. Fix: check its permissions") from err
    others = sorted(set(entries).difference(paths), key=natural_order)
    if not paths:
        raise StreamError(
            f"{shown} has no pictures ({', '.join(IN_FOLDERS)}){_named(others, ', but ')}. Fix: name a folder with "
            f"pictures; videos one by one, or fer-deploy analyze {shown}/*.mp4"
        )
    notes = (f"is read without {_named(others)}",) if others else ()
    return sorted(paths, key=natural_order), notes


def _named(paths: Sequence[Path], before: str = "") -> str:
    """Return the number of other entries of a folder with their names; empty if there are none."""
    if not paths:
        return ""
    names = [printable(path.name) for path in paths]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    noun = "entry" if len(names) == 1 else "entries"
    return f"{before}{len(names)} other {noun}: {', '.join(names[:_MOST_NAMES])}{more}"
