"""Adjust logits in favor of rare classes (Menon et al. 2021, arXiv 2007.07314).

A model that is trained on many happy and few disgusted faces expects few disgusted faces. Subtracting
`strength * log(prior)` from the logits reduces this expectation: the model predicts rare classes more often and macro
F1 rises, while accuracy hardly changes at small strengths. The bias of the classifier contains the adjustment, so the
released file needs no additional code.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_train.errors import ConfigError


def logit_shift(labels: NDArray[np.int64], num_classes: int, strength: float) -> NDArray[np.float64]:
    """Return what an adjustment takes from each logit (C,): `strength * log(prior)`, less its mean.

    Args:
        labels: (N,) classes of the training faces; their shares are the priors.
        num_classes: number of classes C of the model.
        strength: 0 changes nothing; 1 removes the priors completely.

    Raises:
        ConfigError: a class of the model has no training face, so its prior is 0.
    """
    logs: NDArray[np.float64] = np.log(_priors(labels, num_classes))
    shift: NDArray[np.float64] = strength * (logs - logs.mean())
    return shift


def adjust_logits(model: nn.Module, labels: NDArray[np.int64], strength: float) -> list[float]:
    """Take `logit_shift` from the bias of the model's classifier; return the priors (C,).

    Args:
        model: model whose last linear layer is the classifier; changed in place.
        labels: (N,) classes of the training faces.
        strength: see `logit_shift`.

    Raises:
        ConfigError: see `logit_shift`.
    """
    classifier = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    shift = logit_shift(labels, classifier.out_features, strength)
    with torch.no_grad():
        classifier.bias.sub_(torch.from_numpy(shift).to(classifier.bias))
    return [round(float(prior), 6) for prior in _priors(labels, classifier.out_features)]


def _priors(labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    counts = np.bincount(labels, minlength=num_classes)
    if not counts.all():
        raise ConfigError(
            f"class {int(counts.argmin())} has no face in the training split, so its logit cannot be adjusted. "
            "Fix: leave --logit-adjustment out"
        )
    priors: NDArray[np.float64] = counts / counts.sum()
    return priors
