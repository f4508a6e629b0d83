"""Still: decode picture files with Pillow. All pictures except HEIC are decoded here.

A file may have several pictures: the frames of an animation (WebP, PNG, GIF, AVIF) or the pages of a TIFF.
"""

import io
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fer_deploy.errors import StreamError
from fer_deploy.live.file_names import printable
from fer_deploy.live.sources.picture_files.foreign_picture import ForeignPicture, foreign_picture
from fer_deploy.live.sources.picture_files.jpeg import breaks_off
from fer_deploy.vision.transparency import opaque_bgr

MAX_PIXELS: Final = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
"""Pillow's own limit. Larger pictures are refused by their header, before memory is allocated."""
STANDARD_INPUT: Final = Path("/dev/stdin")
MAX_BYTES: Final = 2**30
"""Size limit of a file; MAX_PIXELS in three colors have half as many bytes."""
FILM_FORMATS: Final = frozenset({"GIF", "WEBP", "PNG", "AVIF"})
"""Formats in which several pictures are an animation; in others they are pages."""
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
_USUAL_S: Final = 0.1
"""Duration for which browsers show a frame of duration 0."""

# Pillow's warnings about a file do not belong in the terminal; unreadable files raise.
warnings.filterwarnings("ignore", module=r"PIL\.")


class StillFrame(NamedTuple):
    """One picture of a file.

    Attributes:
        pixels: (H, W, 3) uint8 BGR, upright by its EXIF, opaque.
        duration_s: its duration in an animation.
    """

    pixels: NDArray[np.uint8]
    duration_s: float


class PictureBytes(NamedTuple):
    """The content of a picture file.

    Attributes:
        data: the bytes.
        name: name in errors.
        fix: how to fix a damaged file.
        path: the file in an example of a command.
    """

    data: bytes
    name: str
    fix: str
    path: str = "FILE"


def picture_bytes(source: Path | bytes, *, name: str = "the content") -> PictureBytes:
    """Read a file of at most MAX_BYTES, since a device or a pipe may never end; bytes are returned unchanged.

    Args:
        source: the file, or its content.
        name: of bytes, for errors.

    Raises:
        StreamError: the file cannot be read, or is larger.
    """
    if isinstance(source, bytes):
        return PictureBytes(source, f"{name} of {len(source):,} bytes", "give the bytes of a whole picture file")
    is_piped = source == STANDARD_INPUT
    shown = "standard input" if is_piped else printable(source)
    try:
        with source.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as err:  # ValueError: a name with a NUL
        reason = getattr(err, "strerror", None) or str(err)
        raise StreamError(f"cannot read {shown}: {reason}. Fix: {_fix_for(err)}") from err
    if len(data) > MAX_BYTES:
        raise StreamError(f"cannot read {shown}: it has more than {MAX_BYTES:,} bytes. Fix: name a picture file")
    fix = "pipe the bytes of a picture file into it" if is_piped else "restore or remove the file"
    return PictureBytes(data, shown, fix, shlex.quote(printable(source)))


def _fix_for(err: Exception) -> str:
    if isinstance(err, IsADirectoryError):
        return "name the pictures in it"
    is_misnamed = isinstance(err, FileNotFoundError | NotADirectoryError | ValueError)
    return "check the path" if is_misnamed else "check its permissions"


class Still:
    """An opened picture file.

    Attributes:
        num_frames: number of its pictures.
        is_film: whether they are an animation.
    """

    def __init__(self, content: PictureBytes) -> None:
        """Read the header.

        Raises:
            StreamError: it is not a picture, is a truncated JPEG, or announces too many pixels.
        """
        data, self._name, self._fix, self._path = content
        self._foreign: ForeignPicture | None = None
        if breaks_off(data):
            raise StreamError(f"{self._name} is truncated. Fix: {self._fix}")
        try:
            self._image = Image.open(io.BytesIO(data), formats=_known_formats())
            # Cameras append previews and depth to a JPEG (MPO); the first picture is the main one.
            is_multiple = self._image.format != "MPO"
            self.num_frames: int = getattr(self._image, "n_frames", 1) if is_multiple else 1
        except Exception as err:
            self._foreign = foreign_picture(data) if isinstance(err, UnidentifiedImageError) else None
            raise self._refused(err) from err
        self.is_film = self.num_frames > 1 and self._image.format in FILM_FORMATS

    def frames(self) -> Iterator[StillFrame]:
        """Decode the pictures one by one.

        Raises:
            StreamError: a picture cannot be decoded, or the file is truncated.
        """
        for number in range(self.num_frames):
            try:
                yield self._decoded(number)
            except Exception as err:
                raise self._refused(err) from err

    def _decoded(self, number: int) -> StillFrame:
        image = self._image
        if number:
            image.seek(number)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        image.load()
        duration_s = float(image.info.get("duration") or 0) / 1000
        return StillFrame(_bgr_from_image(_upright(image)), duration_s or _USUAL_S)

    def _refused(self, err: Exception) -> StreamError:
        if isinstance(err, Image.DecompressionBombError):
            return StreamError(
                f"cannot decode {self._name} as a picture: it announces more than {MAX_PIXELS // 10**6} million "
                "pixels. Fix: scale it down"
            )
        if self._foreign is not None:
            what, fix = self._foreign
            return StreamError(
                f"cannot decode {self._name} as a picture: it is {what}. Fix: {fix.format(path=self._path)}"
            )
        why = "" if isinstance(err, UnidentifiedImageError) else f": {err or type(err).__name__}"
        return StreamError(f"cannot decode {self._name} as a picture{why}. Fix: {self._fix}")


def _known_formats() -> list[str]:
    """Return the formats that this build of Pillow supports."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _upright(image: Image.Image) -> Image.Image:
    """Return the picture rotated by its EXIF, or unchanged if the EXIF is damaged, as other programs do."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - damaged metadata can raise any exception in Pillow
        return image


def _bgr_from_image(image: Image.Image) -> NDArray[np.uint8]:
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"))
        return opaque_bgr(np.ascontiguousarray(rgba[..., [2, 1, 0, 3]]))
    if image.mode in ("F", "I") or image.mode.startswith("I;"):
        gray = _eight_bits(np.asarray(image))
        return np.ascontiguousarray(np.repeat(gray[..., None], 3, axis=2))
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def _eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Convert gray levels of more than 8 bits, or of any floating-point range, to 8 bits."""
    levels = values.astype(np.float64)
    if np.issubdtype(values.dtype, np.floating):
        top = 1.0 if np.nanmax(levels, initial=0) <= 1 else 255.0
    else:
        top = 255.0 if levels.max(initial=0) <= 255 and values.dtype.itemsize > 2 else 65535.0
    return np.round(np.clip(np.nan_to_num(levels), 0, top) * (255 / top)).astype(np.uint8)
