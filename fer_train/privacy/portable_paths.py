"""Remove local folders, and with them user names, from the paths in weights and reports."""

import os
import re
from pathlib import Path
from typing import Any, Final

_PATH_KEYS: Final = frozenset({"init", "pretrained", "teachers", "path", "file", "checkpoint"})
_ABSOLUTE: Final = re.compile(r"/|~|[A-Za-z]:[\\/]|\\\\")


def file_name(path: str) -> str:
    """Return a path without its folders; Windows separators are recognized on every system."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or path


def shown_path(path: str | Path) -> str:
    """Return a path for display: relative paths unchanged, others relative to the current folder, or the name alone."""
    text = os.fspath(path)
    if not _ABSOLUTE.match(text):
        return text
    below = os.path.relpath(text) if os.path.isabs(text) else ".."
    return file_name(text) if below.startswith("..") else below


def without_folders(value: Any, key: str = "") -> Any:
    """Return plain data, such as a provenance, with file names instead of paths.

    Args:
        value: mappings, lists and scalars.
        key: key of the value in its mapping. Under some keys relative paths lose their folders too.
    """
    if isinstance(value, dict):
        return {name: without_folders(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inner, key) for inner in value]
    if isinstance(value, str) and (key in _PATH_KEYS or _ABSOLUTE.match(value)):
        return file_name(value)
    return value
