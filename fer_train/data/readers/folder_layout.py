"""Read the layout of an image folder: the split and the class of each file, and the files that are skipped.

    train/<class>/...    test/<class>/...    and val/, valid/, validation/, PublicTest/, PrivateTest/ likewise

Files may be in subfolders of the class. A name that begins with Training_, PublicTest_ or PrivateTest_ and
a number gives the row in Kaggle's file, and the split, unless some names contradict their folders.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from fer_train.data.faces import EMOTIONS
from fer_train.data.readers.picture import SUFFIXES, printable
from fer_train.errors import DataError

SPLIT_FOLDERS = {
    "train": "Training",
    "training": "Training",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "valid",
    "validation": "validation",
    "publictest": "PublicTest",
    "privatetest": "PrivateTest",
}
"""Name of a folder, in lower case, to the split of its pictures."""
_NAMED_SPLIT = re.compile(r"^(Training|PublicTest|PrivateTest)_(\d{1,9})")
_NAMES_THAT_FIT = {"Training": {"Training"}, "PublicTest": {"PublicTest"}, "PrivateTest": {"PrivateTest"}}
_NAMES_IN_TEST = {"PublicTest", "PrivateTest"}
_NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Entry:
    """A picture of the data set.

    Attributes:
        path: file.
        label: index into `EMOTIONS`.
        split: split of the folder.
        named_split: split in the file name, or "".
        row: row in Kaggle's file, from the file name; -1 if unknown.
    """

    path: Path
    label: int
    split: str
    named_split: str
    row: int

    @property
    def contradicts(self) -> bool:
        """Return whether the file name and the folder name different splits."""
        return bool(self.named_split) and self.named_split not in _NAMES_THAT_FIT.get(self.split, _NAMES_IN_TEST)


@dataclass
class Layout:
    """Content of a folder.

    Attributes:
        root: the folder.
        entries: its pictures, in path order.
        skipped: other files in split folders, and beside them.
        foreign: folders beside the split folders.
        notes: messages for the user, one sentence each.
    """

    root: Path
    entries: list[Entry] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_layout(root: Path) -> Layout:
    """List the pictures of a folder.

    Raises:
        DataError: two folders mean the same split, a class is unknown, or a folder is not readable.
    """
    layout = Layout(root)
    try:
        folders = _split_folders(layout)
        for split, folder in folders.items():
            for class_folder in _children(folder):
                _list_class(layout, split, class_folder)
    except OSError as err:
        raise DataError(f"cannot read {printable(root)}: {err}. Fix: permissions of the folder") from err
    _note_contradictions(layout)
    _drop_doubtful_rows(layout)
    _note_missing_classes(layout, folders)
    _note_skipped(layout)
    return layout


def _split_folders(layout: Layout) -> dict[str, Path]:
    """Return a mapping from split to folder, train and test first."""
    found: dict[str, Path] = {}
    for path in _children(layout.root):
        split = SPLIT_FOLDERS.get(path.name.lower())
        if not path.is_dir():
            layout.skipped.append(path)
        elif split is None:
            layout.foreign.append(path)
        elif split in found:
            raise DataError(
                f"{printable(layout.root)} holds {printable(found[split].name)}/ and {printable(path.name)}/, both for "
                f"the split {split}. Fix: keep one, or move the pictures of one into the other"
            )
        else:
            found[split] = path
    order = list(dict.fromkeys(SPLIT_FOLDERS.values()))
    return {split: found[split] for split in sorted(found, key=order.index)}


def _list_class(layout: Layout, split: str, class_folder: Path) -> None:
    """Add the pictures of one class folder to the layout."""
    if not class_folder.is_dir():
        layout.skipped.append(class_folder)
        return
    if _is_hidden(class_folder):
        layout.foreign.append(class_folder)
        return
    name = class_folder.name.lower()
    if name not in EMOTIONS:
        raise DataError(
            f"{printable(class_folder)}: unknown class folder. Known classes: {', '.join(EMOTIONS)}. "
            "Fix: rename or remove it"
        )
    for path in _files_below(class_folder, set()):
        if path.suffix.lower() not in SUFFIXES or _is_hidden(path):
            layout.skipped.append(path)
            continue
        match = _NAMED_SPLIT.match(path.name)
        named_split, row = (match[1], int(match[2])) if match else ("", -1)
        layout.entries.append(Entry(path, EMOTIONS.index(name), split, named_split, row))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> list[Path]:
    """Return all files below a folder, in path order; links to a parent folder are not followed."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:
        return []
    above = seen | {(status.st_dev, status.st_ino)}
    files: list[Path] = []
    for path in _children(folder):
        files += _files_below(path, above) if path.is_dir() else [path]
    return files


def _is_hidden(path: Path) -> bool:
    """Return whether a file or folder is hidden: .DS_Store, ._happy.png, .ipynb_checkpoints, __MACOSX."""
    return path.name.startswith((".", "__"))


def _note_contradictions(layout: Layout) -> None:
    wrong = [entry for entry in layout.entries if entry.contradicts]
    if wrong:
        layout.notes.append(
            f"{len(wrong):,} of {len(layout.entries):,} file names name another split than their folder "
            f"({_examples(layout.root, [entry.path for entry in wrong])}): the folders decide, for all files"
        )


def _drop_doubtful_rows(layout: Layout) -> None:
    """Drop all row numbers if two splits share one: the names then count per split, not in Kaggle's file."""
    splits: dict[int, str] = {}
    twice = [entry for entry in layout.entries if splits.setdefault(entry.row, entry.named_split) != entry.named_split]
    if twice:
        row, one, other = twice[0].row, splits[twice[0].row], twice[0].named_split
        layout.entries = [replace(entry, row=-1) for entry in layout.entries]
        layout.notes.append(
            f"the numbers in file names are not used as rows of Kaggle's file: {one}_{row} and {other}_{row} cannot "
            f"both be row {row}"
        )


def _note_missing_classes(layout: Layout, folders: dict[str, Path]) -> None:
    for split, folder in folders.items():
        present = {entry.label for entry in layout.entries if entry.split == split}
        missing = [name for label, name in enumerate(EMOTIONS) if label not in present]
        if missing and layout.entries:
            layout.notes.append(f"{printable(folder.name)}/ holds no picture of {', '.join(missing)}")


def describe_skipped(layout: Layout) -> str:
    """Return a message with the number of skipped files, their kinds and examples; empty if there are none."""
    paths = [path for path in layout.skipped if path.name != ".gitignore"]
    if not paths:
        return ""
    kinds = Counter(path.suffix.lower() or "without suffix" for path in paths)
    counts = ", ".join(f"{count:,} {printable(kind)}" for kind, count in kinds.most_common(8))
    return (
        f"{len(paths):,} files are not read ({counts}): {_examples(layout.root, paths)}. Read are "
        f"{' '.join(SUFFIXES)} in folders of a class"
    )


def _note_skipped(layout: Layout) -> None:
    for folder in layout.foreign:
        count = len(_files_below(folder, set()))
        layout.notes.append(f"{printable(folder.relative_to(layout.root))}/ is not read: it holds {count:,} files")
    if files := describe_skipped(layout):
        layout.notes.append(files)


def _examples(root: Path, paths: list[Path]) -> str:
    names = [printable(path.relative_to(root)) for path in paths[:_NUM_EXAMPLES]]
    return ", ".join(names) + ", ..." * (len(paths) > _NUM_EXAMPLES)
