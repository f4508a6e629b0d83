"""Remove folders from paths that are stored in models and reports, since folders reveal user names."""

import os
import re
from pathlib import Path
from typing import Any, Final

_IN_TEXT: Final = re.compile(
    r"(?<![\w.:/~*)\]-])(?:~|(?!/(?:dev(?!/shm/)|proc|sys)/)(?=/)|[A-Za-z]:(?=[\\/]))(?:[\\/][^\s'\"`<>|,;()\[\]/\\]+){2,}"
)
"""An absolute path with a folder; not a device and not the path of a URL. /dev/shm holds files."""
_ABSOLUTE: Final = re.compile(r"/|~[/\\]|[A-Za-z]:[\\/]|\\\\")


def file_name(path: str | Path) -> str:
    """Return a path without its folders. Windows' separators are recognized on every system."""
    text = os.fspath(path)
    return re.split(r"[\\/]", text.rstrip("\\/"))[-1] or text


def shown_path(path: str | Path) -> str:
    """Return a relative path unchanged, and an absolute one relative to the working directory or as its name alone."""
    text = os.fspath(path)
    if not _ABSOLUTE.match(text):
        return text
    below = os.path.relpath(text) if os.path.isabs(text) else ".."
    return file_name(text) if below.startswith("..") else below


def without_folders_in_text(text: str) -> str:
    """Return a message or a command with every absolute path replaced by `shown_path` of it."""
    return _IN_TEXT.sub(lambda found: shown_path(found[0]), text)


def without_folders(value: Any) -> Any:
    """Return plain data, such as a provenance, with absolute paths replaced by file names."""
    if isinstance(value, dict):
        return {name: without_folders(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(without_folders(inner) for inner in value)
    return file_name(value) if isinstance(value, str) and _ABSOLUTE.match(value) else value
