"""The layout of an image folder: which file is of which split and class, and which files are passed over.

    train/<class>/...    test/<class>/...    and val/, valid/, validation/, PublicTest/, PrivateTest/ likewise

Files may be in folders of their own below the class. A name that begins with Training_, PublicTest_ or PrivateTest_ and
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
"""Name of a folder, in lower case, to the split that its pictures are of."""
_NAMED_SPLIT = re.compile(r"^(Training|PublicTest|PrivateTest)_(\d{1,9})")
_NAMES_THAT_FIT = {"Training": {"Training"}, "PublicTest": {"PublicTest"}, "PrivateTest": {"PrivateTest"}}
_NAMES_IN_TEST = {"PublicTest", "PrivateTest"}
_NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Entry:
    """A picture of the data set.

    Attributes:
        path: of the file.
        label: an index into `EMOTIONS`.
        split: that of its folder.
        named_split: that of its name, or "".
        row: in Kaggle's file, by its name; -1 where it does not tell.
    """

    path: Path
    label: int
    split: str
    named_split: str
    row: int

    @property
    def contradicts(self) -> bool:
        """Whether the name says another split than the folder."""
        return bool(self.named_split) and self.named_split not in _NAMES_THAT_FIT.get(self.split, _NAMES_IN_TEST)


@dataclass
class Layout:
    """What a folder holds.

    Attributes:
        root: the folder.
        entries: its pictures, in path order.
        passed_over: other files in split folders, and beside them.
        foreign: folders beside the split folders.
        notes: what a user should know, one sentence each.
    """

    root: Path
    entries: list[Entry] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)
    foreign: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_layout(root: Path) -> Layout:
    """List the pictures of a folder.

    Raises:
        DataError: two folders for one split, an unknown class, or a folder that cannot be read.
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
    _note_passed_over(layout)
    return layout


def _split_folders(layout: Layout) -> dict[str, Path]:
    """Return folder by split, train and test first."""
    found: dict[str, Path] = {}
    for path in _children(layout.root):
        split = SPLIT_FOLDERS.get(path.name.lower())
        if not path.is_dir():
            layout.passed_over.append(path)
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
        layout.passed_over.append(class_folder)
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
            layout.passed_over.append(path)
            continue
        match = _NAMED_SPLIT.match(path.name)
        named_split, row = (match[1], int(match[2])) if match else ("", -1)
        layout.entries.append(Entry(path, EMOTIONS.index(name), split, named_split, row))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> list[Path]:
    """Return all files below a folder, in path order; a link that leads back into a folder above is not followed."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:
        return []
    above = seen | {(status.st_dev, status.st_ino)}
    files: list[Path] = []
    for path in _children(folder):
        files += _files_below(path, above) if path.is_dir() else [path]
    return files


def _is_hidden(path: Path) -> bool:
    """Whether a system left it there: .DS_Store, ._happy.png, .ipynb_checkpoints, __MACOSX."""
    return path.name.startswith((".", "__"))


def _note_contradictions(layout: Layout) -> None:
    wrong = [entry for entry in layout.entries if entry.contradicts]
    if wrong:
        layout.notes.append(
            f"{len(wrong):,} of {len(layout.entries):,} file names say another split than their folder "
            f"({_examples(layout.root, [entry.path for entry in wrong])}): the folders count, for all files"
        )


def _drop_doubtful_rows(layout: Layout) -> None:
    """Trust no row number where two splits have the same: then names count within their split, not in Kaggle's file."""
    splits: dict[int, str] = {}
    twice = [entry for entry in layout.entries if splits.setdefault(entry.row, entry.named_split) != entry.named_split]
    if twice:
        row, one, other = twice[0].row, splits[twice[0].row], twice[0].named_split
        layout.entries = [replace(entry, row=-1) for entry in layout.entries]
        layout.notes.append(
            f"the numbers in file names are not taken as rows of Kaggle's file: {one}_{row} and {other}_{row} cannot "
            f"both be row {row}"
        )


def _note_missing_classes(layout: Layout, folders: dict[str, Path]) -> None:
    for split, folder in folders.items():
        present = {entry.label for entry in layout.entries if entry.split == split}
        missing = [name for label, name in enumerate(EMOTIONS) if label not in present]
        if missing and layout.entries:
            layout.notes.append(f"{printable(folder.name)}/ holds no picture of {', '.join(missing)}")


def describe_passed_over(layout: Layout) -> str:
    """Return how many files are not read, of which kinds, with examples; empty where all are."""
    paths = [path for path in layout.passed_over if path.name != ".gitignore"]
    if not paths:
        return ""
    kinds = Counter(path.suffix.lower() or "without suffix" for path in paths)
    counts = ", ".join(f"{count:,} {printable(kind)}" for kind, count in kinds.most_common(8))
    return (
        f"{len(paths):,} files are not read ({counts}): {_examples(layout.root, paths)}. Read are "
        f"{' '.join(SUFFIXES)} in folders of a class"
    )


def _note_passed_over(layout: Layout) -> None:
    for folder in layout.foreign:
        count = len(_files_below(folder, set()))
        layout.notes.append(f"{printable(folder.relative_to(layout.root))}/ is not read: it holds {count:,} files")
    if files := describe_passed_over(layout):
        layout.notes.append(files)


def _examples(root: Path, paths: list[Path]) -> str:
    names = [printable(path.relative_to(root)) for path in paths[:_NUM_EXAMPLES]]
    return ", ".join(names) + ", ..." * (len(paths) > _NUM_EXAMPLES)
