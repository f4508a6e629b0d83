"""Names of files: their order, how they are printed and given to FFmpeg, and the stream number behind them."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Final

_STREAM: Final = re.compile(r"(?P<name>.+)#(?P<stream>[0-9]{1,4})", re.DOTALL)
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NUMBER: Final = re.compile(rb"([0-9]+)")


def natural_order(path: Path) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return a key that sorts numbers within names by their value: frame_2 comes before frame_10."""
    parts = _NUMBER.split(os.fsencode(path.stem))
    key = [(int(part), b"") if index % 2 else (0, part) for index, part in enumerate(parts)]
    return key, os.fsencode(path.name)


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a name as one line of text: bytes that are no UTF-8, controls and ends of lines are escaped, as \xff.

    Signs that turn the direction of writing are escaped, too, since they would change how the rest is read.
    """
    return "".join(_escaped(letter) if _is_control(letter) else letter for letter in os.fspath(path))


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in _CONTROLS or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # how Python keeps a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def file_address(path: str | os.PathLike[str]) -> str:
    """Return what FFmpeg reads or writes as the file of this name, also where the name has a colon."""
    return f"file:{os.fspath(path)}"


def split_stream(text: str) -> tuple[str, int | None]:
    """Return a source without the number of a stream behind it, and that number.

    `film.mkv#1` is stream 1 of film.mkv, unless there is a file of the whole name.
    """
    found = _STREAM.fullmatch(text)
    if found is None or os.path.lexists(text):
        return text, None
    return found["name"], int(found["stream"])


def file_and_stream(path: Path) -> tuple[Path, int | None]:
    """Return the file of a recording, and the number of the stream that the user chose; see `split_stream`."""
    name, stream = split_stream(str(path))
    return Path(name), stream
