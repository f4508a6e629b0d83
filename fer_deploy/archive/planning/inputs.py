"""found_videos: the files that INPUT... means: files, folders, patterns, lists of them, and addresses."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from fer_deploy.archive.store import BackendError, backend_errors, entry_of, file_system
from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live.file_names import file_and_stream, printable
from fer_deploy.privacy.redaction import without_password

SUFFIXES: Final = frozenset(
    (
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".gif",
        ".h264",
        ".hevc",
        ".ivf",
        ".m2ts",
        ".m4v",
        ".mjpeg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    )
)
"""Endings of the names that are videos where a folder is given; a file that is named is taken with any."""
_HEAD_BYTES: Final = 4096
_LONGEST_LETTER: Final = 4
"""Bytes of a letter in UTF-8; the last one of the head may be cut."""
_PATTERN: Final = frozenset("*?[")


class Found(NamedTuple):
    """A file that may be a video.

    Attributes:
        address: an absolute path, or an address.
        size: in bytes; -1 if unknown.
        etag: of an object store; empty if there is none.
        written_s: when it was written, in seconds since 1970; 0 if unknown.
        reason: why it cannot be read; empty if it may.
    """

    address: str
    size: int = -1
    etag: str = ""
    written_s: float = 0.0
    reason: str = ""


def found_videos(inputs: Iterable[str]) -> list[Found]:
    """Return the files, sorted by their addresses, each once.

    Args:
        inputs: paths of files and folders, patterns, addresses, and @ with the path of a list of these.

    Raises:
        ConfigError: a named file does not exist, a list cannot be read, or nothing was found.
        StreamError: an address cannot be reached.
        FerDeployError: as `file_system`.
    """
    found = {one.address: one for text in inputs for one in _meant_by(text)}
    if not found:
        raise ConfigError(
            f"no video was found in {', '.join(map(without_password, inputs))}. Fix: name files with any ending, or "
            f"folders with files that end in one of {', '.join(sorted(SUFFIXES))}"
        )
    return [found[address] for address in sorted(found)]


def is_list(address: str) -> bool:
    """Return whether a file that was named as a video is a local text, such as a list without its @."""
    path = Path(address)
    if "://" in address or path.suffix.lower() in SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    text = head.decode(errors="ignore").encode()
    return bool(text) and b"\0" not in text and len(head) - len(text) < _LONGEST_LETTER


def _meant_by(text: str) -> Iterator[Found]:
    if text.startswith("@"):
        yield from _listed(Path(text[1:]))
        return
    some = list(_remote(text) if "://" in text else _local(text))
    if not some and not _is_container(text):
        raise ConfigError(f"cannot find {without_password(text)}. Fix: check its name; a list of names is @{text}")
    yield from some


def _is_container(text: str) -> bool:
    return os.path.isdir(text) or (bool(_PATTERN & set(text)) and not os.path.lexists(text))


def _listed(path: Path) -> Iterator[Found]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # names may have other separators of lines in them
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"cannot read the list {path}: {err}. Fix: a text file with one name a line") from err
    for line in filter(None, map(str.strip, lines)):
        is_remote = "://" in line
        some = list(_remote(line) if is_remote else _local(line))
        address = without_password(line) if is_remote else printable(os.path.abspath(line))
        yield from some or [Found(address, reason="it was not found")]


def _local(text: str) -> Iterator[Found]:
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path)
        return
    if file_and_stream(path)[0].is_file():
        paths = [path]
    else:
        paths = [Path(one) for one in glob.glob(text, recursive=True) if os.path.isfile(one)]
    for one in paths:
        yield _local_file(one)


def _in_folder(path: Path) -> Iterator[Found]:
    """Yield the videos in a folder and below, and the folders that cannot be read."""
    unread: list[OSError] = []
    for folder, _, names in os.walk(path, onerror=unread.append):
        for name in names:
            if os.path.splitext(name)[1].lower() in SUFFIXES:
                yield _local_file(Path(folder) / name)
    for err in unread:
        yield _unreadable(os.path.abspath(err.filename), err)


def _local_file(path: Path) -> Found:
    address = os.path.abspath(path)
    try:
        address.encode()
    except UnicodeEncodeError:
        return Found(printable(address), reason="its path is not UTF-8; rename it")
    try:
        about = file_and_stream(path)[0].stat()
    except OSError as err:
        return _unreadable(address, err)
    if not stat.S_ISREG(about.st_mode):  # to open a pipe waits for its other end
        return Found(address, reason="it is not a file; a pipe or a device is a source of fer-deploy live")
    return Found(address, about.st_size, written_s=about.st_mtime)


def _unreadable(address: str, err: OSError) -> Found:
    return Found(printable(address), reason=f"it cannot be read: {err.strerror}")


def _remote(text: str) -> Iterator[Found]:
    fs, path = file_system(text)
    try:
        with backend_errors():
            abouts = list(_abouts(fs, path))
    except BackendError as err:
        raise StreamError(
            f"cannot read {without_password(text)}: {err}. Fix: check the address, the credentials and the network, "
            "then give the same command again"
        ) from err
    except OSError as err:
        raise ConfigError(
            f"cannot read {without_password(text)}: {err}. Fix: check the address, its rights and the network"
        ) from err
    for about in abouts:
        etag = next((str(about[name]).strip('"') for name in ("ETag", "etag") if about.get(name)), "")
        size = about.get("size")
        size = -1 if size is None else int(size)
        yield Found(fs.unstrip_protocol(about["name"]), size, etag, entry_of(about).written_s)


def _abouts(fs: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield fsspec's descriptions of the files that a path means."""
    if fs.isfile(path):
        yield fs.info(path)
        return
    is_pattern = bool(_PATTERN & set(path))
    found = fs.glob(path, detail=True) if is_pattern else fs.find(path, detail=True)
    for name, about in found.items():
        if about.get("type") == "file" and (is_pattern or os.path.splitext(name)[1].lower() in SUFFIXES):
            yield about
