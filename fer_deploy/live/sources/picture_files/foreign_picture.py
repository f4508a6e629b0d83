"""Identify files that are not one of the supported picture formats, and how to fix the user's own file."""

from typing import Final, NamedTuple


class ForeignPicture(NamedTuple):
    """Kind of a file, as text after "it is", and a fix, as text after "Fix:" with {path} of the file."""

    what: str
    fix: str


_VIDEO: Final = ForeignPicture("a video", "fer-deploy live --source {path}, or Recognizer.stream")
_POINTER: Final = ForeignPicture("a pointer of Git LFS, not the picture itself", "git lfs pull")
_CONVERT: Final = "convert it to PNG"
_TIFF: Final = ForeignPicture("a TIFF that is damaged, or of pixels that are not read", "restore it, or " + _CONVERT)

_BY_HEAD: Final = (
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"FLV\x01", _VIDEO),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"version https://git-lfs", _POINTER),
    (b"%PDF", ForeignPicture("a PDF", _CONVERT)),
    (b"8BPS", ForeignPicture("a Photoshop file", _CONVERT)),
    (b"\x00\x00\x00\x0cjP  ", ForeignPicture("a JPEG 2000 picture", _CONVERT)),
    (b"\xffO\xffQ", ForeignPicture("a JPEG 2000 picture", _CONVERT)),
    (b"\x00\x00\x00\x0cJXL ", ForeignPicture("a JPEG XL picture", _CONVERT)),
    (b"\xff\x0a", ForeignPicture("a JPEG XL picture", _CONVERT)),
    (b"v/1\x01", ForeignPicture("an OpenEXR picture", _CONVERT)),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
    (b"\x00\x00\x01\x00", ForeignPicture("an icon", _CONVERT)),
    *(
        (b"P%d%c" % (kind, space), ForeignPicture("a PNM picture", _CONVERT))
        for kind in range(1, 8)
        for space in b"\n "
    ),
)
_STILL_BRANDS: Final = (b"avif", b"avis", b"mif1", b"msf1")
_TS_PACKET: Final = 188


def foreign_picture(data: bytes) -> ForeignPicture | None:
    """Return what a file is by its first bytes, or None if they tell nothing."""
    if data[4:8] == b"ftyp":
        return None if data[8:12] in _STILL_BRANDS else _VIDEO
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return _VIDEO
    if data[:1] == data[_TS_PACKET : _TS_PACKET + 1] == b"\x47":
        return _VIDEO
    if b"<svg" in data[:512]:
        return ForeignPicture("an SVG drawing", _CONVERT)
    return next((kind for head, kind in _BY_HEAD if data.startswith(head)), None)
