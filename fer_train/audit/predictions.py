"""Read the out-of-fold predictions of fer-train crossval and check them against the data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS, Faces
from fer_train.data.readers.npz_file import require_true_sizes
from fer_train.errors import DataError
from fer_train.files.zip_faults import ZIP_FAULTS

_FIX = "Fix: write it with fer-train crossval on the same --data"
_FIX_FERPLUS = (
    "Eight classes mean labels: ferplus, but the audit checks FER2013's labels. "
    "Fix: fer-train crossval with a config of labels: fer2013"
)
_ARRAYS = ("rows", "labels", "probs")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities from models that were not trained on the face.

    Attributes:
        indices: (M,) int64, positions in the data set, all different.
        probs: (M, 7) float32, rows sum to 1, classes in `EMOTIONS` order.
    """

    indices: NDArray[np.int64]
    probs: NDArray[np.float32]


def read_predictions(path: Path, faces: Faces) -> Predictions:
    """Read an .npz with `rows` (M,), `labels` (M,) and `probs` (M, 7), and find its faces.

    Raises:
        DataError: the file or an array is missing or damaged, shapes do not fit, values are not probabilities, rows
            are unknown or occur twice, or labels differ from those of the data.
    """
    if (faces.rows < 0).any():
        raise DataError(f"cannot join {path}: the image files carry no row numbers. Fix: use fer2013.csv as --data")
    rows, labels, probs = _read_arrays(path)
    _check_probs(path, probs)
    order = np.argsort(faces.rows, kind="stable")
    places = np.searchsorted(faces.rows[order], rows).clip(max=len(faces) - 1)
    indices = order[places]
    unknown = rows[faces.rows[indices] != rows]
    if len(unknown):
        raise DataError(
            f"{path} has {len(unknown):,} rows that are not in the data, the first is {unknown[0]}; "
            f"the data go up to row {faces.rows.max():,}. {_FIX}"
        )
    wrong = np.flatnonzero(faces.labels[indices] != labels)
    if len(wrong):
        i = wrong[0]
        raise DataError(
            f"{path}: {len(wrong):,} of {len(rows):,} labels differ from those of the data; row {rows[i]} has "
            f"{labels[i]} there and {faces.labels[indices[i]]} in the data. {_FIX}"
        )
    return Predictions(indices, probs)


def _read_arrays(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    try:
        with path.open("rb") as file:
            require_true_sizes(file)
            with np.load(file, allow_pickle=False) as stored:
                missing = [name for name in _ARRAYS if name not in stored]
                if missing:
                    there = ", ".join(stored) or "none"
                    raise DataError(f"{path} lacks the array(s) {', '.join(missing)}; it has {there}. {_FIX}")
                rows, labels, probs = (stored[name] for name in _ARRAYS)
    except ZIP_FAULTS as err:
        raise DataError(f"cannot read predictions {path}: {err}. Expected an .npz. {_FIX}") from err
    count = len(rows) if rows.ndim else 0
    expected = {"rows": (count,), "labels": (count,), "probs": (count, len(EMOTIONS))}
    shapes = {"rows": rows.shape, "labels": labels.shape, "probs": probs.shape}
    if shapes != expected or not count:
        seen = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        fix = _FIX if shapes["probs"][1:] != (len(FERPLUS_EMOTIONS),) else _FIX_FERPLUS
        raise DataError(f"{path}: shapes do not fit: {seen}. Expected rows (M,), labels (M,), probs (M, 7). {fix}")
    if rows.dtype.kind not in "iu" or labels.dtype.kind not in "iu" or probs.dtype.kind != "f":
        types = f"rows {rows.dtype}, labels {labels.dtype}, probs {probs.dtype}"
        raise DataError(f"{path}: types do not fit: {types}. Expected whole numbers and floats. {_FIX}")
    if len(np.unique(rows)) != count:
        raise DataError(f"{path}: {count - len(np.unique(rows)):,} rows occur twice; expected each face once. {_FIX}")
    return rows.astype(np.int64), labels.astype(np.int64), probs.astype(np.float32)


def _check_probs(path: Path, probs: NDArray[np.float32]) -> None:
    sums = probs.sum(axis=1)
    good = np.isfinite(probs).all(axis=1) & (probs >= 0).all(axis=1) & (np.abs(sums - 1) < 1e-2)
    if not good.all():
        i = int(np.flatnonzero(~good)[0])
        raise DataError(
            f"{path}: {int((~good).sum()):,} rows of probs are not probabilities; entry {i} is "
            f"{np.array2string(probs[i], precision=3)}, sum {sums[i]:.3f}. "
            f"Expected softmax outputs that sum to 1. {_FIX}"
        )
