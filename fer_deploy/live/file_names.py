"""Sort file names, print them safely, pass them to FFmpeg, and parse the stream number at their end."""

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
    r"""Return a name as one line of text: non-UTF-8 bytes, control characters and line ends are escaped, such as \xff.

    Characters that change the direction of writing are escaped, too, since they reorder the text around them.
    """
    return "".join(_escaped(letter) if _is_control(letter) else letter for letter in os.fspath(path))


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in _CONTROLS or letter in _DIRECTIONS


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # Python's representation of a byte that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def file_address(path: str | os.PathLike[str]) -> str:
    """Return FFmpeg's URL of a file; it works even if the name has a colon."""
    return f"file:{os.fspath(path)}"


def split_stream(text: str) -> tuple[str, int | None]:
    """Split a source into its name and the number of a stream, or None.

    `film.mkv#1` is stream 1 of film.mkv, unless a file with the whole name exists.
    """
    found = _STREAM.fullmatch(text)
    if found is None or os.path.lexists(text):
        return text, None
    return found["name"], int(found["stream"])


def file_and_stream(path: Path) -> tuple[Path, int | None]:
    """Return the file of a recording and the number of its chosen stream, or None; see `split_stream`."""
    name, stream = split_stream(str(path))
    return Path(name), stream
