"""Read faces from a folder of pictures: train/<class>/ and test/<class>/, as in many copies of FER2013."""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from fer_train.data.faces import FACE_SIZE, Faces, resize_face
from fer_train.data.readers.csv_file import COLUMNS
from fer_train.data.readers.folder_layout import SPLIT_FOLDERS, Layout, describe_skipped, read_layout
from fer_train.data.readers.picture import printable, read_picture
from fer_train.data.readers.table import open_table
from fer_train.errors import DataError

_log = logging.getLogger(__name__)


def read_image_folder(root: Path) -> Faces:
    """Read every picture of a folder, in path order; see `folder_layout`.

    File names that begin with Training_, PublicTest_ or PrivateTest_ and a number give the row, and the split if no
    name contradicts its folder; else train/ is "Training", test/ is "test", val/ is "val" and so on. Pictures of
    another size are resized to 48x48. The log counts and names the skipped files.

    Raises:
        DataError: the layout is unknown, a class folder is unknown, or a picture cannot be decoded.
    """
    layout = read_layout(root)
    if not layout.entries:
        raise DataError(_describe_absence(layout))
    images = np.empty((len(layout.entries), FACE_SIZE, FACE_SIZE), dtype=np.uint8)
    by_name = not any(entry.contradicts for entry in layout.entries)
    splits = [entry.named_split if by_name and entry.named_split else entry.split for entry in layout.entries]
    digest = hashlib.sha256()
    with_pages = []
    for i, (entry, split) in enumerate(zip(layout.entries, splits, strict=True)):
        picture = read_picture(entry.path)
        images[i] = resize_face(picture.gray)
        if picture.num_pages > 1:
            with_pages.append(entry.path)
        name = os.fsencode(entry.path.relative_to(root).as_posix())
        digest.update(name + f" {entry.label} {split}".encode() + images[i].tobytes())
    _log_notes(layout, with_pages)
    return Faces(
        images=images,
        labels=np.array([entry.label for entry in layout.entries], dtype=np.int64),
        splits=np.array(splits),
        rows=np.array([entry.row for entry in layout.entries], dtype=np.int64),
        source_sha256=digest.hexdigest(),
    )


def _log_notes(layout: Layout, with_pages: list[Path]) -> None:
    for note in layout.notes:
        _log.warning("%s: %s", printable(layout.root), note)
    if with_pages:
        first = printable(with_pages[0].relative_to(layout.root))
        _log.warning("%d pictures have several pages or frames, the first one is read: %s", len(with_pages), first)


def _describe_absence(layout: Layout) -> str:
    """Return a message with the content of a folder without pictures and the path that was probably meant."""
    root, children = layout.root, sorted(layout.root.iterdir())
    tables = [path for path in children if path.suffix.lower() == ".csv" and _is_data(path)]
    if tables:
        return (
            f"{printable(root)} is a folder with {printable(tables[0].name)} in it, and has no train/<class>/ images. "
            f"Fix: --data {printable(tables[0])}"
        )
    found = ", ".join(printable(path.name) for path in children[:8]) or "nothing"
    inner = [path for path in children if path.is_dir() and _has_split_folder(path)]
    fix = f"--data {printable(inner[0])}" if inner else "--data with the folder above train/"
    skipped = f"{files}. " if _has_split_folder(root) and (files := describe_skipped(layout)) else ""
    return f"{printable(root)} has no train/<class>/ or test/<class>/ images; found {found}. {skipped}Fix: {fix}"


def _is_data(path: Path) -> bool:
    """Return whether a file has the columns of fer2013.csv."""
    try:
        with open_table(path, fix="") as table:
            return set(COLUMNS) <= set(table.columns)
    except (OSError, DataError):
        return False


def _has_split_folder(folder: Path) -> bool:
    try:
        return any(path.is_dir() and path.name.lower() in SPLIT_FOLDERS for path in folder.iterdir())
    except OSError:
        return False
