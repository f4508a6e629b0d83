"""Translate FER+'s votes into FER2013's way of labelling.

FER+'s taggers see neutral faces where FER2013's labels say sad or angry, so their votes pull a model away from the
labels that measure it. A multinomial regression predicts FER2013's label from the votes; its parameters, slightly more
than a hundred, are fitted on the training rows alone. On PublicTest the translated votes agree with the label for 67 %
of the faces, a network for 68 %, the mean of both for 70 %, and the mean of the network and the votes as cast for 68 %
(measured with the released Net and SENet).
"""

import numpy as np
from numpy.typing import NDArray

from fer_train.data.faces import EMOTIONS

_PSEUDO_VOTES = 0.3
"""Added to each count before the logarithm."""
_INVERSE_PENALTY = 0.3
_MAX_ITERATIONS = 1000
_DECIMALS = 4
"""Decimals of a share, so that a resumed run has the same targets with any number of threads."""


def translated_votes(votes: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return (N, 7) float32: the probability of each class as FER2013's label, given the votes; 0 without votes.

    Args:
        votes: (N, 10) counts in the order of `VOTES`.
        labels: (N,) classes 0 to 6 of the same faces; the regression is fitted on them.
    """
    shares = np.zeros((len(votes), len(EMOTIONS)), dtype=np.float32)
    voted = votes.any(axis=1)
    classes = np.unique(labels[voted])
    if len(classes) < 2:
        shares[np.ix_(voted, classes)] = 1.0
        return shares
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes as long to import as PyTorch

    features = _features(votes[voted])
    regression = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_ITERATIONS).fit(features, labels[voted])
    shares[np.ix_(voted, classes)] = regression.predict_proba(features).round(_DECIMALS)
    return shares


def _features(votes: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = votes.astype(np.float64)
    return np.hstack([np.log(counts + _PSEUDO_VOTES), counts / 10])
