"""Which files a run writes, and the proof that it overwrites none of what it reads."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from fer_deploy.live.file_names import file_and_stream
from fer_deploy.live.sources.pictures import PICTURE_SUFFIXES

Named = tuple[str, Path]
"""What a file is for, and the file."""


def frames_path(path: Path) -> Path:
    """Return where the table of frames stands beside a table of faces: `NAME.frames.SUFFIX`."""
    return path.parent / f"{path.stem}.frames{path.suffix}"


def video_paths(path: Path, num_sources: int) -> list[Path]:
    """Return the annotated video of each source: `path`, or with several sources `NAME-i.SUFFIX`."""
    if num_sources == 1:
        return [path]
    return [path.parent / f"{path.stem}-{number}{path.suffix}" for number in range(num_sources)]


def files_of_sources(sources: Sequence[str]) -> Iterator[Named]:
    """Yield the files and folders that sources are read from; cameras and addresses have none."""
    for source in sources:
        if source == "-" or source.startswith("raw:"):
            yield "source", Path("/dev/stdin")
        elif source.lower().startswith("file://"):
            yield "source", Path(source[len("file://") :])
        elif source and source != "synthetic" and not source.isdecimal() and "://" not in source:
            yield "source", file_and_stream(Path(source))[0]


def require_apart(written: Sequence[Named], read: Sequence[Named]) -> None:
    """Make sure that no file is written twice, nor one that is read. Links are followed.

    Raises:
        ValueError: two are the same; it names the flag that can be changed.
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
    """Return what is equal for all names of a file, hard links too; of one that is not there, where it would be."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # not there, a name too long, or one with a NUL: what opens it says so
        return path.absolute() if "\0" in str(path) else path.resolve()
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else path.resolve()
