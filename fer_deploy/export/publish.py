"""Several files and folders that get their names together, or none of them does; of one file see `durable`."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fer_deploy.durable import sync, sync_names
from fer_deploy.errors import ExportError


def write_together(files: Mapping[Path, bytes], *, flag: str = "--out") -> None:
    """Write files of one folder, whole and on the disk, in place of older ones; see `rename_together`.

    Args:
        files: path and content.
        flag: the one to name another place with, for the error.

    Raises:
        ExportError: the folder cannot be written, or the disk is full.
    """
    with drafted(files, flag=flag) as drafts:
        rename_together(drafts)


@contextmanager
def drafted(files: Mapping[Path, bytes], *, flag: str = "--out") -> Iterator[dict[Path, Path]]:
    """Write files of one folder under temporary names beside it, synced, and yield draft -> final name.

    What the body does not rename goes away.

    Raises:
        ExportError: as `write_together`.
    """
    (folder,) = {path.parent for path in files}
    with drafts_in(folder, flag=flag, names=", ".join(path.name for path in files)) as drafts:
        for path, content in files.items():
            (drafts / path.name).write_bytes(content)
            sync(drafts / path.name)
        yield {drafts / path.name: path for path in files}


@contextmanager
def drafts_in(folder: Path, *, flag: str, names: str) -> Iterator[Path]:
    """Yield a temporary folder inside of `folder`, so that what is written there can be renamed in one step.

    After a failure, folders that were made for it and are empty go again.

    Args:
        folder: made where it is not there.
        flag: the one to name another place with, for the error.
        names: what is to be written, for the error.

    Raises:
        ExportError: instead of an OSError of the body or of `folder`.
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
    """Give drafts their names, in place of older files and folders; on any failure the older ones are back.

    A machine that dies between two renames leaves files of two builds, which digests tell apart.

    Args:
        drafts: draft -> final name, both on one disk; the draft's own folder keeps the older ones meanwhile.

    Raises:
        ExportError: a name cannot be taken.
    """
    kept: dict[Path, Path] = {}
    taken: list[Path] = []
    try:
        for draft, final in drafts.items():
            try:
                _keep_old(draft, final, kept)
                os.replace(draft, final)
            except OSError as err:
                raise ExportError(
                    f"cannot write {final.name} into {final.parent}: {err.strerror or err}. Nothing was changed. "
                    "Fix: move what has this name away, or another folder"
                ) from err
            taken.append(final)
        for folder in {final.parent for final in drafts.values()}:
            sync_names(folder)
    except BaseException:
        _bring_back(taken, kept)
        raise


def _keep_old(draft: Path, final: Path, kept: dict[Path, Path]) -> None:
    """A folder cannot replace a full one in one step, so the old one steps aside; a file is never gone."""
    if not os.path.lexists(final):
        return
    old = draft.with_name(f"{draft.name}.old")
    if draft.is_dir():
        os.replace(final, old)
    else:
        shutil.copy2(final, old)
    kept[final] = old


def _bring_back(taken: list[Path], kept: Mapping[Path, Path]) -> None:
    for final in taken:
        if final.is_dir():
            shutil.rmtree(final)
        elif final not in kept:
            final.unlink()
    for final, old in kept.items():
        if final in taken or not final.exists():
            os.replace(old, final)
