"""Read FER+ (Barsoum et al. 2016, arXiv 1608.01041): ten taggers' votes for each FER2013 row."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import Faces
from fer_train.data.readers.cache import file_sha256
from fer_train.data.readers.csv_file import USAGES
from fer_train.data.readers.table import Row, open_table
from fer_train.data.readers.vote_agreement import check_agreement
from fer_train.data.readers.vote_columns import VOTES
from fer_train.errors import DataError

__all__ = ["VOTES", "join_votes"]

_FIX = "Fix: --ferplus with the whole fer2013new.csv of github.com/microsoft/FERPlus, as it is"
_FIX_PAIR = "Fix: fer2013.csv and fer2013new.csv as they were published, each with its rows in their own order"
_MAX_VOTES = 255


@dataclass(frozen=True)
class _VoteFile:
    """Content of fer2013new.csv: votes (N, 10) uint8, and the split and the line number of each row."""

    votes: NDArray[np.uint8]
    usages: list[str]
    lines: list[int]


def join_votes(faces: Faces, path: Path) -> Faces:
    """Return the faces with `votes` from FER+'s fer2013new.csv; its row i belongs to row i of the source.

    The file may have more rows than the faces: a copy without PrivateTest joins the full one. The agreement of votes
    and labels proves that they belong together; see `vote_agreement`.

    Raises:
        DataError: the file is of another kind, has too few rows, a row of another split or invalid votes; the faces
            have no row numbers; or the votes agree with the labels no more often than those of other faces.
    """
    if (faces.rows < 0).any():
        raise DataError(f"cannot join {path}: the image files carry no row numbers. Fix: use fer2013.csv as --data")
    stored = _read_votes(path)
    if len(stored.votes) <= faces.rows.max():
        raise DataError(
            f"{path} has {len(stored.votes):,} rows but the faces go up to row {faces.rows.max():,}; FER+ is joined "
            f"row by row. {_FIX}"
        )
    for row, split in zip(faces.rows, faces.splits, strict=True):
        if stored.usages[row] != split and str(split) in USAGES:
            raise DataError(
                f"{path} line {stored.lines[row]}: Usage is {stored.usages[row]!r}, the face there is of "
                f"{str(split)!r}. {_FIX}"
            )
    joined = replace(faces, votes=stored.votes[faces.rows], votes_sha256=file_sha256(path))
    check_agreement(joined, what=str(path), fix=_FIX_PAIR)
    return joined


def _read_votes(path: Path) -> _VoteFile:
    try:
        with open_table(path, fix=_FIX) as table:
            columns = table.columns
            missing = [name for name in ("Usage", *VOTES) if columns.count(name.lower()) != 1]
            if missing:
                what = f"no column {', '.join(missing)}" if missing[0].lower() not in columns else f"{missing[0]} twice"
                raise DataError(f"{path} is not FER+'s fer2013new.csv: {what}. {_FIX}")
            places, usage = [columns.index(name.lower()) for name in VOTES], columns.index("usage")
            rows = [(_parse_row(row, places, len(columns), path), row) for row in table.rows]
    except OSError as err:
        raise DataError(f"cannot read FER+ votes {path}: {err}. {_FIX}") from err
    votes = np.array([counts for counts, _ in rows], dtype=np.uint8).reshape(len(rows), len(VOTES))
    return _VoteFile(votes, [row.cells[usage].strip() for _, row in rows], [row.line for _, row in rows])


def _parse_row(row: Row, places: list[int], width: int, path: Path) -> list[int]:
    """Return the counts of a row; cells beyond the header must be empty, because they could shift the columns."""
    if len(row.cells) < width or any(cell.strip() for cell in row.cells[width:]):
        raise DataError(
            f"{path} line {row.line}: votes are not ten whole numbers (the row has {len(row.cells)} columns, the "
            f"header {width}). {_FIX}"
        )
    texts = [row.cells[place].strip() for place in places]
    for text in texts:
        if not (text.isascii() and text.isdecimal()) or len(text) > 6 or int(text) > _MAX_VOTES:
            raise DataError(f"{path} line {row.line}: votes are not ten whole numbers ({text[:40]!r}). {_FIX}")
    return [int(text) for text in texts]
