"""HEIC by hand: FFmpeg reads it, but nothing at hand writes it."""

import re
import struct
from fractions import Fraction

import av
import numpy as np


def heic(
    picture: np.ndarray, *, rows: int = 1, columns: int = 1, has_preview: bool = False, turned: bytes = b""
) -> bytes:
    """A picture (H, W, 3), cut into tiles as phones do; with one tile it is the picture itself.

    `turned` is a box that says how it is to be shown: `quarter_turns` or `mirrored`.
    With a preview there is a small copy beside it, which is not marked as dependent.
    """
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    tiles = [
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width]
        for row in range(rows)
        for column in range(columns)
    ]
    coded = [_hevc(tile) for tile in tiles]
    items = [(number, b"hvc1", data) for number, (_, data) in enumerate(coded, start=1)]
    properties = [_box(b"hvcC", coded[0][0]), _full(b"ispe", struct.pack(">II", width, height))]
    of_item = {number: [1, 2] for number, _, _ in items}
    references = b""
    primary = 1
    if len(tiles) > 1:
        primary = len(tiles) + 1
        shape = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width * columns, height * rows)
        items.append((primary, b"grid", shape))
        properties.append(_full(b"ispe", struct.pack(">II", width * columns, height * rows)))
        of_item[primary] = [3]
        numbers = b"".join(struct.pack(">H", number) for number in range(1, primary))
        references = _box(b"dimg", struct.pack(">HH", primary, len(tiles)) + numbers)
    if turned:
        properties.append(turned)
        of_item[primary].append(len(properties))
    if has_preview:
        config, data = _hevc(picture[::2, ::2])
        items.append((primary + 1, b"hvc1", data))
        properties += [_box(b"hvcC", config), _full(b"ispe", struct.pack(">II", *picture[::2, ::2].shape[1::-1]))]
        of_item[primary + 1] = [len(properties) - 1, len(properties)]
        references += _box(b"thmb", struct.pack(">HHH", primary + 1, 1, primary))
    references = _full(b"iref", references) if references else b""
    return _file(primary, items, properties, of_item, references)


def quarter_turns(num: int) -> bytes:
    """Return the box that turns a picture counterclockwise."""
    return _box(b"irot", bytes([num]))


def mirrored(axis: int) -> bytes:
    """Return the box that mirrors a picture: 0 exchanges top and bottom, 1 left and right."""
    return _box(b"imir", bytes([axis]))


def _hevc(tile: np.ndarray) -> tuple[bytes, bytes]:
    """Return the decoder's configuration (hvcC) and the picture's data."""
    codec = av.CodecContext.create("libx265", "w")
    codec.height, codec.width = tile.shape[:2]
    codec.pix_fmt, codec.time_base, codec.framerate = "yuv420p", Fraction(1), Fraction(1)
    codec.options = {"x265-params": "log-level=none", "crf": "5"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(tile), "bgr24").reformat(format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1)
    stream = b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode()])
    units = [unit for unit in re.split(rb"\x00*\x00\x00\x01", stream) if unit]
    kinds = [unit[0] >> 1 & 63 for unit in units]
    parameters = {kind: unit for kind, unit in zip(kinds, units, strict=True) if kind in (32, 33, 34)}
    picture = b"".join(
        struct.pack(">I", len(unit)) + unit for kind, unit in zip(kinds, units, strict=True) if kind < 32
    )
    profile = parameters[33].replace(b"\0\0\3", b"\0\0")[3:15]
    arrays = b"".join(
        struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit for kind, unit in sorted(parameters.items())
    )
    return b"\1" + profile + bytes.fromhex("f000fcfdf8f800000f") + bytes([len(parameters)]) + arrays, picture


def _file(primary, items, properties, of_item, references):
    head = _box(b"ftyp", b"heic" + struct.pack(">I", 0) + b"mif1heic")
    entries = b"".join(_full(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", 2) for number, kind, _ in items)
    associations = b"".join(
        struct.pack(">HB", number, len(known)) + bytes(0x80 | index for index in known)
        for number, known in of_item.items()
    )
    ipma = _full(b"ipma", struct.pack(">I", len(of_item)) + associations)
    fixed = (
        _full(b"hdlr", struct.pack(">I4s12s", 0, b"pict", b"") + b"\0")
        + _full(b"pitm", struct.pack(">H", primary))
        + _full(b"iinf", struct.pack(">H", len(items)) + entries)
        + references
        + _box(b"iprp", _box(b"ipco", b"".join(properties)) + ipma)
    )
    size_of_places = 12 + 2 + 2 + len(items) * 14
    start = len(head) + 12 + len(fixed) + size_of_places + 8
    places = b""
    for number, _, data in items:
        places += struct.pack(">HHHII", number, 0, 1, start, len(data))
        start += len(data)
    iloc = _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + places)
    assert len(iloc) == size_of_places
    return head + _full(b"meta", fixed + iloc) + _box(b"mdat", b"".join(data for _, _, data in items))


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + content)
