"""derived_valence: how pleasant an expression looks, derived from the probabilities of the labels."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

DERIVED_VALENCE: Final = "derived_valence"
_POSITIVE: Final = "happy"
_NEGATIVE: Final = ("angry", "disgust", "fear", "sad")
_NEGATIVE_OF_SOME: Final = "contempt"
"""Models of FER2013's labels have none."""


def has_derived_valence(labels: Sequence[str]) -> bool:
    """Return whether a model has the labels that it is derived from; contempt need not be among them."""
    return {_POSITIVE, *_NEGATIVE} <= set(labels)


def derived_valence(probs: NDArray[np.float64], labels: Sequence[str]) -> NDArray[np.float64]:
    """Return happy minus the largest of angry, contempt, disgust, fear and sad, for each row.

    It is no measured valence: no rater judged how pleasant a face is, and surprise and neutral count as 0.

    Args:
        probs: (N, C) probabilities.
        labels: of the columns; see `has_derived_valence`.

    Returns:
        (N,) from -1 to 1.
    """
    negative = [index for index, label in enumerate(labels) if label in (*_NEGATIVE, _NEGATIVE_OF_SOME)]
    valence: NDArray[np.float64] = probs[:, list(labels).index(_POSITIVE)] - probs[:, negative].max(axis=1)
    return valence
