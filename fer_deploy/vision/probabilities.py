"""Probabilities: an array of probabilities with its labels."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Probabilities(NDArray[np.floating[Any]]):
    """Probabilities of labels: (C,) of one face or (N, C) of several, in 0 to 1; the last axis sums to 1.

    All NumPy operations work. `probs["happy"]` is the column of this label.

    Attributes:
        labels: `labels[c]` is the meaning of column c; empty for an array without a column for each label.
    """

    labels: tuple[str, ...]

    @classmethod
    def of(cls, values: ArrayLike, labels: tuple[str, ...]) -> Self:
        """Create probabilities from values, without a copy if possible.

        Args:
            values: (..., C), one entry for each label.
            labels: their meaning.

        Raises:
            ValueError: the last axis has another length.
        """
        probs = np.asarray(values).view(cls)
        if probs.shape[-1:] != (len(labels),):
            raise ValueError(f"{len(labels)} labels for probabilities of shape {probs.shape}")
        probs.labels = labels
        return probs

    @classmethod
    def from_dict(cls, probs: Mapping[str, float]) -> Self:
        """Create the probabilities (C,) of one face from a mapping of labels to probabilities."""
        return cls.of(np.fromiter(probs.values(), dtype=np.float64), tuple(probs))

    def as_dict(self) -> dict[str, float]:
        """Return one face's probabilities (C,) by label."""
        return dict(zip(self.labels, map(float, self), strict=True))

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self.labels:
            raise KeyError(f"no label {key!r}; the labels are {', '.join(self.labels)}")
        column = np.asarray(self)[..., self.labels.index(key)]
        return float(column) if self.ndim == 1 else column

    def __array_finalize__(self, origin: NDArray[Any] | None) -> None:
        labels = getattr(origin, "labels", ())
        self.labels = labels if self.shape[-1:] == (len(labels),) else ()

    def __reduce__(self) -> tuple[Any, ...]:
        reduced = super().__reduce__()
        assert not isinstance(reduced, str)
        return *reduced[:2], (reduced[2], self.labels)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[0])
        self.labels = state[1]
