"""Read the tile layout of a HEIC picture, as phones write it (ISO/IEC 23008-12).

FFmpeg decodes the tiles and knows their layout, but PyAV does not expose it.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Box = tuple[bytes, bytes]


class Tiles(NamedTuple):
    """Layout of a tiled picture.

    Attributes:
        rows: number of rows of tiles.
        columns: number of columns of tiles.
        width: of the picture, in pixels; the last tiles may extend beyond it.
        height: of the picture.
        items: item numbers of the tiles, row by row.
        turns: (quarter turns counterclockwise, mirrored axis or -1), applied in this order.
    """

    rows: int
    columns: int
    width: int
    height: int
    items: tuple[int, ...]
    turns: tuple[tuple[int, int], ...]

    def assembled(self, tiles: dict[int, NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return the upright picture (H, W, 3) from the tiles by their item numbers, all of one size."""
        height, width = tiles[self.items[0]].shape[:2]
        picture = np.zeros((self.height, self.width, 3), np.uint8)
        for place, item in enumerate(self.items):
            row, column = divmod(place, self.columns)
            room = picture[row * height : (row + 1) * height, column * width : (column + 1) * width]
            room[...] = tiles[item][: room.shape[0], : room.shape[1]]
        for quarters, axis in self.turns:
            picture = np.rot90(picture, quarters) if axis < 0 else np.flip(picture, axis)
        return np.ascontiguousarray(picture)


def tiles_from_file(data: bytes) -> Tiles | None:
    """Return the tile layout of a HEIC file's main picture; None if it has no tiles.

    Raises:
        ValueError, KeyError, IndexError, struct.error: the file is damaged.
    """
    boxes = dict(_boxes(dict(_boxes(data))[b"meta"][4:]))
    wide = boxes[b"pitm"][0] > 0
    primary = int.from_bytes(boxes[b"pitm"][4 : 8 if wide else 6], "big")
    if _kind_of(primary, boxes[b"iinf"]) != b"grid":
        return None
    grid = _content_of(primary, boxes, data)
    form = ">II" if grid[1] & 1 else ">HH"
    width, height = struct.unpack_from(form, grid, 4)
    rows, columns = grid[2] + 1, grid[3] + 1
    items = _tiles_of(primary, boxes[b"iref"])
    if len(items) != rows * columns:
        raise ValueError(f"{len(items)} tiles, expected {rows} x {columns}")
    return Tiles(rows, columns, width, height, items, _turns_of(primary, boxes[b"iprp"]))


def _boxes(data: bytes) -> Iterator[_Box]:
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, place + 8)[0], 16
        end = len(data) if size == 0 else place + size
        if size and size < head:
            raise ValueError(f"a box {kind!r} of {size} bytes")
        yield kind, data[place + head : end]
        place = end


def _kind_of(item: int, iinf: bytes) -> bytes:
    for kind, entry in _boxes(iinf[8 if iinf[0] else 6 :]):
        wide = entry[0] > 2
        if kind == b"infe" and int.from_bytes(entry[4 : 8 if wide else 6], "big") == item:
            start = 10 if wide else 8
            return entry[start : start + 4]
    raise ValueError("the main picture is not listed")


def _tiles_of(item: int, iref: bytes) -> tuple[int, ...]:
    size, form = (4, "I") if iref[0] else (2, "H")
    for kind, entry in _boxes(iref[4:]):
        if kind == b"dimg" and int.from_bytes(entry[:size], "big") == item:
            num = struct.unpack_from(">H", entry, size)[0]
            return struct.unpack_from(f">{num}{form}", entry, size + 2)
    raise ValueError("the tiles are not listed")


def _content_of(item: int, boxes: dict[bytes, bytes], data: bytes) -> bytes:
    """Return the bytes of a small item."""
    iloc = boxes[b"iloc"]
    version, place = iloc[0], 6
    sizes = (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version else 0)

    def number(size: int) -> int:
        nonlocal place
        place += size
        if place > len(iloc):
            raise ValueError("the list of places breaks off")
        return int.from_bytes(iloc[place - size : place], "big")

    for _ in range(number(4 if version == 2 else 2)):
        found = number(4 if version == 2 else 2)
        is_inside = version > 0 and number(2) & 15 == 1
        number(2)
        base = number(sizes[2])
        parts = [(number(sizes[3]), number(sizes[0]), number(sizes[1]))[1:] for _ in range(number(2))]
        if found == item:
            where = boxes[b"idat"] if is_inside else data
            return b"".join(where[base + offset : base + offset + length] for offset, length in parts)
    raise ValueError("the layout of the tiles is not in the file")


def _turns_of(item: int, iprp: bytes) -> tuple[tuple[int, int], ...]:
    parts = dict(_boxes(iprp))
    properties = list(_boxes(parts[b"ipco"]))
    ipma, place = parts[b"ipma"], 8
    id_size, index_size = (4 if ipma[0] else 2), (2 if ipma[3] & 1 else 1)
    for _ in range(struct.unpack_from(">I", ipma, 4)[0]):
        found, num = int.from_bytes(ipma[place : place + id_size], "big"), ipma[place + id_size]
        place += id_size + 1
        mask = 0x7FFF if index_size == 2 else 0x7F
        indices = [
            int.from_bytes(ipma[at : at + index_size], "big") & mask
            for at in range(place, place + num * index_size, index_size)
        ]
        place += num * index_size
        if found == item:
            known = [properties[index - 1] for index in indices if index]
            return tuple(
                (content[0] & 3, -1) if kind == b"irot" else (0, content[0] & 1)
                for kind, content in known
                if kind in (b"irot", b"imir")
            )
    return ()
