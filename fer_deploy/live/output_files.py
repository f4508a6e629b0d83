"""List the files that a run writes, and check that no output is also an input."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from fer_deploy.live.file_names import file_and_stream
from fer_deploy.live.sources.pictures import PICTURE_SUFFIXES

VideoCodec = Literal["auto", "vp9", "av1", "mpeg4", "x264"]
"""Compression of an annotated video; see `sinks.video.codecs`."""
_TABLES = {"csv": ".csv", "parquet": ".parquet", "jsonl": ".jsonl", "events-out": ".csv"}
"""Suffix of the tables of each role."""
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
Named = tuple[str, Path]
"""Role of a file, and its path."""


def frames_path(path: Path) -> Path:
    """Return the path of the table of frames beside a table of faces: `NAME.frames.SUFFIX`."""
    return path.parent / f"{path.stem}.frames{path.suffix}"


def video_paths(path: Path, num_sources: int) -> list[Path]:
    """Return the annotated video of each source: `path`, or with several sources `NAME-i.SUFFIX`."""
    if num_sources == 1:
        return [path]
    return [path.parent / f"{path.stem}-{number}{path.suffix}" for number in range(num_sources)]


def files_of_sources(sources: Sequence[str]) -> Iterator[Named]:
    """Yield the files and folders that sources are read from; cameras and URLs have none."""
    for source in sources:
        if source == "-" or source.startswith("raw:"):
            yield "source", Path("/dev/stdin")
        elif source.lower().startswith("file://"):
            yield "source", Path(source[len("file://") :])
        elif source and source != "synthetic" and not source.isdecimal() and "://" not in source:
            yield "source", file_and_stream(Path(source))[0]


def require_fitting_suffixes(written: Sequence[Named], *, flags: Sequence[str] = ("csv", "parquet", "jsonl")) -> None:
    """Check that no table has a name that says another format.

    Args:
        written: tables of the roles csv, parquet, jsonl and events-out.
        flags: formats that the command offers.

    Raises:
        ValueError: a table has the suffix of another format; the message names the flag to change.
    """
    for flag, path in written:
        suffix, own = path.suffix.lower(), _TABLES[flag]
        if suffix == own or suffix not in (*_TABLES.values(), *_SPREADSHEETS):
            continue
        offered = [name for name in flags if _TABLES[name] == suffix and flag != "events-out"]
        fix = f"--{offered[0]} {path}" if offered else f"--{flag} {path.with_suffix(own)}"
        raise ValueError(f"{flag} {path} has the suffix of another format. Fix: {fix}")


def require_apart(written: Sequence[Named], read: Sequence[Named]) -> None:
    """Check that no file is written twice, and that none is both read and written. Links are followed.

    Raises:
        ValueError: two paths are the same file; the message names the flag to change.
    """
    writers: dict[object, str] = {}
    for flag, path in written:
        if (other := writers.setdefault(_identity(path), flag)) != flag:
            raise ValueError(f"{other} and {flag} are the same file, {path}. Fix: another --{flag}")
    pictures = {_identity(path.parent): (flag, path) for flag, path in reversed(written) if _is_picture_name(path)}
    for role, path in read:
        identity = _identity(path)
        if identity in writers:
            raise ValueError(_overwritten(path, role, writers[identity]))
        if identity in pictures:
            flag, target = pictures[identity]
            raise ValueError(_overwritten(target, f"a picture of the {role}", flag))


def _is_picture_name(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES


def _overwritten(path: Path, role: str, flag: str) -> str:
    return f"{path} is both {role} and output; it would be overwritten. Fix: another --{flag}"


def _identity(path: Path) -> object:
    """Return an identity that all names of a file share, including hard links; for a missing file its resolved path."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # missing, a name too long, or one with a NUL: opening it reports the error
        return path.absolute() if "\0" in str(path) else path.resolve()
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else path.resolve()
