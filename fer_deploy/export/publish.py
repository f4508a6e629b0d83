"""Several files that belong together appear under their names together, or none of them does."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fer_deploy.errors import ExportError


def write_together(files: Mapping[Path, bytes], *, flag: str = "--out") -> None:
    """Write files of one folder, whole and on the disk, in place of older ones.

    All are written under temporary names in that folder and synced before the first takes its name. On any failure the
    folder is as it was. A machine that dies between two renames leaves files of two builds, which digests tell apart.

    Args:
        files: path and content.
        flag: the one to name another place with, for the error.

    Raises:
        ExportError: the folder cannot be written, or the disk is full.
    """
    (folder,) = {path.parent for path in files}
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fer-") as drafts:
            for path, content in files.items():
                _write_synced(Path(drafts) / path.name, content)
            _rename_all(list(files), Path(drafts))
    except OSError as err:
        for parent in missing:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        names = ", ".join(path.name for path in files)
        raise ExportError(
            f"cannot write {names} into {folder}: {err.strerror or err}. Nothing was changed. "
            f"Fix: free space, or another {flag}"
        ) from err
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make renames last; file systems that cannot sync a folder do it on their own."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _rename_all(paths: list[Path], drafts: Path) -> None:
    kept = {path: drafts / f"{path.name}.old" for path in paths if path.exists()}
    for path, copy in kept.items():
        shutil.copy2(path, copy)
    renamed: list[Path] = []
    try:
        for path in paths:
            os.replace(drafts / path.name, path)
            renamed.append(path)
    except OSError:
        for path in renamed:
            os.replace(kept[path], path) if path in kept else path.unlink()
        raise
