"""Prove that FER+'s votes belong to the faces that they were joined with by position.

In the published files the class with the most votes is FER2013's label for 65 % of the faces that have one such class.
Votes of other faces agree for 18 %, which follows from the shares of the classes by chance. A shuffled or sorted split
is detected, and so is a missing row: every face after it has the votes of the next one.

The measure is the agreement above chance, as a share of the largest possible value above chance. Measured on the
published files: 0.57 in each split, 0.39 or more in each 100 consecutive faces.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from fer_train.data.consensus import NO_MAJORITY, plurality_labels
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS, Faces
from fer_train.errors import DataError

_LEAST_EXCESS = 0.25
"""Smallest accepted measure in a split with all classes; half of the value in the published files."""
_USUAL_EXCESS = 0.5
_UNLIKELY = 0.01
"""A split is refused if its own votes would agree as rarely as this with a smaller probability."""
_CLEARLY_ABOVE = 2.0
"""Sufficient standard deviations above chance in a split that lacks classes, where chance agreement is high."""
_WINDOW = 100
_LEAST_WINDOW_EXCESS = 0.4
"""Share of the excess that the labels of a window have in the whole split."""
_UNLIKELY_WINDOW = 1e-6


@dataclass(frozen=True)
class _Joined:
    """Faces with a favorite: one emotion with more votes than any other. All arrays are (n,), ordered by row.

    Attributes:
        where: description of the faces.
        labels: FER2013's labels.
        favorites: the favorites, numbered as the labels.
        chance: share of favorites in the face's split that equal its label: the agreement with another face's votes.
        rows: row numbers.
    """

    where: str
    labels: NDArray[np.int64]
    favorites: NDArray[np.int64]
    chance: NDArray[np.float64]
    rows: NDArray[np.int64]

    @property
    def agrees(self) -> NDArray[np.bool_]:
        return np.asarray(self.labels == self.favorites)

    @property
    def is_testable(self) -> bool:
        """Return whether a wrong order is detectable: a single label or a single favorite fits in any order."""
        return len(np.unique(self.labels)) > 1 and len(np.unique(self.favorites)) > 1


def check_agreement(faces: Faces, *, what: str, fix: str) -> None:
    """Check that the votes agree with the labels more often than votes of other faces would.

    Args:
        faces: faces with votes and FER2013's labels.
        what: the file of votes, for the message.
        fix: end of the message.

    Raises:
        DataError: the agreement is too low in a split, in 100 consecutive rows, or over all splits. With too few
            faces for a test, any votes are accepted.
    """
    splits = [_joined(faces, str(split)) for split in np.unique(faces.splits)]
    every = _Joined("all splits", *(np.concatenate([getattr(part, name) for part in splits]) for name in _ARRAYS))
    for part in splits:
        _check_whole(part, what, fix)
        _check_windows(part, what, fix)
    _check_whole(every, what, fix)


_ARRAYS = ("labels", "favorites", "chance", "rows")


def _joined(faces: Faces, split: str) -> _Joined:
    assert faces.votes is not None
    is_favorite = faces.votes == faces.votes.max(axis=1, keepdims=True)
    favorites = plurality_labels(faces.votes)
    chosen = np.flatnonzero((faces.splits == split) & (favorites != NO_MAJORITY) & (is_favorite.sum(axis=1) == 1))
    chosen = chosen[np.argsort(faces.rows[chosen], kind="stable")]
    labels, favorites = faces.labels[chosen], favorites[chosen]
    shares = np.bincount(favorites, minlength=len(FERPLUS_EMOTIONS)) / max(len(chosen), 1)
    return _Joined(split, labels, favorites, shares[labels], faces.rows[chosen])


def _check_whole(joined: _Joined, what: str, fix: str) -> None:
    count, agreeing = len(joined.labels), int(joined.agrees.sum())
    if not joined.is_testable:
        return
    chance = float(joined.chance.mean())
    deviation = np.sqrt(chance * (1 - chance) / count)
    lacks_classes = len(np.unique(joined.labels)) < len(EMOTIONS)
    if lacks_classes and agreeing / count > chance + _CLEARLY_ABOVE * deviation:
        return
    usual = chance + _USUAL_EXCESS * (1 - chance)
    is_low = agreeing / count - chance < _LEAST_EXCESS * (1 - chance)
    if is_low and bdtr(agreeing, count, usual) < _UNLIKELY:
        raise _refusal(joined.where, agreeing, count, chance, what, fix)


def _check_windows(joined: _Joined, what: str, fix: str) -> None:
    """Compare the agreement of each 100 consecutive faces with that of their labels in the whole split."""
    if len(joined.labels) < 2 * _WINDOW or not joined.is_testable:
        return
    agrees = joined.agrees.astype(np.float64)
    by_label = np.bincount(joined.labels, weights=agrees) / np.maximum(np.bincount(joined.labels), 1)
    found, chance, usual = (_window_means(values) for values in (agrees, joined.chance, by_label[joined.labels]))
    is_low = found - chance < _LEAST_WINDOW_EXCESS * (usual - chance)
    unlikely = bdtr(np.rint(found * _WINDOW), _WINDOW, usual.clip(0, 1)) < _UNLIKELY_WINDOW
    for first in np.flatnonzero(is_low & unlikely)[:1]:
        where = f"rows {joined.rows[first]:,} to {joined.rows[first + _WINDOW - 1]:,}"
        raise _refusal(where, round(found[first] * _WINDOW), _WINDOW, float(chance[first]), what, fix)


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[_WINDOW:] - total[:-_WINDOW]) / _WINDOW)


def _refusal(where: str, agreeing: int, count: int, chance: float, what: str, fix: str) -> DataError:
    return DataError(
        f"{what} holds the votes of other faces: the most frequent vote is the label of {agreeing:,} of {count:,} "
        f"faces of {where} ({agreeing / count:.0%}). Votes of other faces give {chance:.0%} by chance, the faces' own "
        f"votes about 65%. Rows were moved, added or left out in one of the two files. {fix}"
    )
