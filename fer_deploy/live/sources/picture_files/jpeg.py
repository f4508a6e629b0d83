"""Check whether a JPEG is complete; decoders silently fill missing parts with gray."""

import re
from typing import Final

_START: Final = b"\xff\xd8"
_END, _SCAN = 0xD9, 0xDA
_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In entropy-coded data 0xFF is followed by zero or a restart marker; anything else ends it (ITU-T T.81, B.1.1)."""


def breaks_off(data: bytes) -> bool:
    """Return whether this is a JPEG that ends before its end-of-image marker.

    It walks the segments, since embedded thumbnails have such a marker, too, and some cameras write data after it.
    """
    if not data.startswith(_START):
        return False
    place = len(_START)
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == _END:
            return False
        if marker == 0xFF:  # fill
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
            if marker == _SCAN:
                found = _AFTER_SCAN.search(data, place)
                if found is None:
                    return True
                place = found.start()
    return data[place : place + 2] != bytes((0xFF, _END))
