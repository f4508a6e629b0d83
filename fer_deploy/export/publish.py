"""Publish several files and folders together: either all get their names or none. For one file see `durable`."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fer_deploy.errors import ExportError
from fer_deploy.files.durable import sync, sync_names


def write_together(files: Mapping[Path, bytes], *, flag: str = "--out") -> None:
    """Write files of one folder completely, replacing older ones; see `rename_together`.

    Args:
        files: path to content.
        flag: flag that sets the folder, for the error message.

    Raises:
        ExportError: the folder is not writable, or the disk is full.
    """
    with drafted(files, flag=flag) as drafts:
        rename_together(drafts)


@contextmanager
def drafted(files: Mapping[Path, bytes], *, flag: str = "--out") -> Iterator[dict[Path, Path]]:
    """Write files of one folder with temporary names, synced to disk, and yield a mapping from draft to final name.

    Drafts that the body does not rename are deleted.

    Raises:
        ExportError: see `write_together`.
    """
    (folder,) = {path.parent for path in files}
    with drafts_in(folder, flag=flag, names=", ".join(path.name for path in files)) as drafts:
        for path, content in files.items():
            (drafts / path.name).write_bytes(content)
            sync(drafts / path.name)
        yield {drafts / path.name: path for path in files}


@contextmanager
def drafts_in(folder: Path, *, flag: str, names: str) -> Iterator[Path]:
    """Yield a temporary folder inside `folder`, so files in it can be renamed in one step.

    After a failure, new and empty folders are removed.

    Args:
        folder: target folder; created if it is missing.
        flag: flag that sets the folder, for the error message.
        names: files to write, for the error message.

    Raises:
        ExportError: an OSError occurred in the body or for `folder`.
    """
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fer-") as drafts:
            yield Path(drafts)
    except BaseException as err:
        for parent in missing:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        if not isinstance(err, OSError):
            raise
        raise ExportError(
            f"cannot write {names} into {folder}: {err.strerror or err}. Nothing was changed. "
            f"Fix: free space, or another {flag}"
        ) from err


def rename_together(drafts: Mapping[Path, Path]) -> None:
    """Rename drafts to their final names, replacing older files and folders; on any failure the older ones return.

    If the machine fails between two renames, files of two builds remain; their digests show it.

    Args:
        drafts: draft to final name, both on one disk; the draft's folder holds the older files meanwhile.

    Raises:
        ExportError: a file cannot be renamed.
    """
    saved: dict[Path, Path] = {}
    renamed: list[Path] = []
    try:
        for draft, final in drafts.items():
            try:
                _save_old(draft, final, saved)
                os.replace(draft, final)
            except OSError as err:
                raise ExportError(
                    f"cannot write {final.name} into {final.parent}: {err.strerror or err}. Nothing was changed. "
                    "Fix: move what has this name away, or another folder"
                ) from err
            renamed.append(final)
        for folder in {final.parent for final in drafts.values()}:
            sync_names(folder)
    except BaseException:
        _restore(renamed, saved)
        raise


def _save_old(draft: Path, final: Path, saved: dict[Path, Path]) -> None:
    """Move an old folder aside, which cannot be replaced in one step, or copy an old file, which is never missing."""
    if not os.path.lexists(final):
        return
    old = draft.with_name(f"{draft.name}.old")
    if draft.is_dir():
        os.replace(final, old)
    else:
        shutil.copy2(final, old)
    saved[final] = old


def _restore(renamed: list[Path], saved: Mapping[Path, Path]) -> None:
    for final in renamed:
        if final.is_dir():
            shutil.rmtree(final)
        elif final not in saved:
            final.unlink()
    for final, old in saved.items():
        if final in renamed or not final.exists():
            os.replace(old, final)
