"""Proof that FER+'s votes belong to the faces that they were joined with by position.

In the files as they were published, the class with the most votes is FER2013's label for 63 % of the faces that have one;
votes of other faces agree for 18 %, which is what the shares of the classes give by chance. So a shuffled or sorted
split shows at once, and so does a row that is missing: from there on, each face has the votes of the next one.

Measured with both files, agreement above chance as a share of what is possible above chance: 0.54 in each split, 0.36 and
more in each 100 consecutive rows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from fer_train.data.consensus import NO_MAJORITY, plurality_labels
from fer_train.data.faces import EMOTIONS, Faces
from fer_train.errors import DataError

_LEAST_EXCESS = 0.25
"""Of the possible agreement above chance, in a split of all classes; half of what the published files have."""
_USUAL_EXCESS = 0.5
_UNLIKELY = 0.01
"""A split that would agree so seldom with so small a probability, were the votes its own, is refused."""
_CLEARLY_ABOVE = 2.0
"""Standard deviations above chance that are enough where a split has not all classes, which makes chance large."""
_WINDOW = 100
_LEAST_WINDOW_EXCESS = 0.4
"""Of the excess that a window's labels have in the whole split."""
_UNLIKELY_WINDOW = 1e-6


@dataclass(frozen=True)
class _Agreement:
    """Agreement of labels with the most frequent vote.

    Attributes:
        where: the faces, in words.
        num_faces: faces whose most frequent vote is an emotion.
        num_agreeing: those of them whose label it is.
        chance: the share that votes of other faces would give.
    """

    where: str
    num_faces: int
    num_agreeing: int
    chance: float


def check_agreement(faces: Faces, *, what: str, fix: str) -> None:
    """Refuse votes that agree with the labels no more often than votes of other faces would.

    Args:
        faces: with votes; labels as FER2013 has them.
        what: the file of the votes, for the message.
        fix: the end of the message.

    Raises:
        DataError: in a split, in 100 consecutive rows of one, or over all splits; too few faces to tell are let pass.
    """
    assert faces.votes is not None
    plurality = plurality_labels(faces.votes)
    judged = plurality != NO_MAJORITY
    agrees = plurality == faces.labels
    chance = np.zeros(len(faces))
    for split in np.unique(faces.splits):
        chosen = np.flatnonzero((faces.splits == split) & judged)
        chosen = chosen[np.argsort(faces.rows[chosen], kind="stable")]
        if not len(chosen):
            continue
        shares = np.bincount(plurality[chosen], minlength=int(faces.labels.max()) + 1) / len(chosen)
        chance[chosen] = shares[faces.labels[chosen]]
        faults = [_fault_of(agrees[chosen], chance[chosen], faces.labels[chosen], split)]
        faults.append(_fault_of_windows(agrees[chosen], chance[chosen], faces.labels[chosen], faces.rows[chosen]))
        _refuse(faults, what, fix)
    if judged.any():
        _refuse([_fault_of(agrees[judged], chance[judged], faces.labels[judged], "all splits")], what, fix)


def _fault_of(
    agrees: NDArray[np.bool_], chance: NDArray[np.float64], labels: NDArray[np.int64], where: str
) -> _Agreement | None:
    """Return the agreement of a group of faces where it is that of votes of other faces, else None."""
    count, agreeing, expected = len(agrees), int(agrees.sum()), float(chance.mean())
    if len(np.unique(labels)) < 2 or expected >= 1:  # a single class agrees by chance as often as it can
        return None
    found = _Agreement(where, count, agreeing, expected)
    deviation = np.sqrt(expected * (1 - expected) / count)
    if len(np.unique(labels)) < len(EMOTIONS) and agreeing / count > expected + _CLEARLY_ABOVE * deviation:
        return None
    is_low = agreeing / count - expected < _LEAST_EXCESS * (1 - expected)
    usual = expected + _USUAL_EXCESS * (1 - expected)
    return found if is_low and binom.cdf(agreeing, count, usual) < _UNLIKELY else None


def _fault_of_windows(
    agrees: NDArray[np.bool_], chance: NDArray[np.float64], labels: NDArray[np.int64], rows: NDArray[np.int64]
) -> _Agreement | None:
    """Return the agreement of the consecutive faces that agree least, compared with their labels in the whole split."""
    if len(agrees) < 2 * _WINDOW:
        return None
    counts = np.bincount(labels)
    usual = (np.bincount(labels, weights=agrees) / np.maximum(counts, 1))[labels]
    found, expected, wanted = (_window_means(values.astype(np.float64)) for values in (agrees, chance, usual))
    is_low = found - expected < _LEAST_WINDOW_EXCESS * (wanted - expected)
    unlikely = binom.cdf(np.rint(found * _WINDOW), _WINDOW, np.clip(wanted, 0, 1)) < _UNLIKELY_WINDOW
    suspect = np.flatnonzero(is_low & unlikely)
    if not len(suspect):
        return None
    first = int(suspect[0])
    where = f"rows {rows[first]:,} to {rows[first + _WINDOW - 1]:,}"
    return _Agreement(where, _WINDOW, round(found[first] * _WINDOW), float(expected[first]))


def _window_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((total[_WINDOW:] - total[:-_WINDOW]) / _WINDOW)


def _refuse(faults: list[_Agreement | None], what: str, fix: str) -> None:
    for fault in faults:
        if fault is not None:
            raise DataError(
                f"{what} holds the votes of other faces: the most frequent vote is the label of {fault.num_agreeing:,} "
                f"of {fault.num_faces:,} faces of {fault.where} ({fault.num_agreeing / fault.num_faces:.0%}). Votes of "
                f"other faces give {fault.chance:.0%} by chance, the faces' own votes about 63%. Rows were moved, added "
                f"or left out in one of the two files. {fix}"
            )

