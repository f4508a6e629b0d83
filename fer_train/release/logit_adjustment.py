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


def adjust_logits(model: nn.Module, labels: NDArray[np.int64], strength: float) -> list[float]:
    """Subtract `strength * log(prior)` from the bias of the model's classifier; return the priors (C,).

    Args:
        model: model whose last linear layer is the classifier; changed in place.
        labels: (N,) classes of the training faces; their shares are the priors.
        strength: 0 changes nothing; 1 removes the priors completely.

    Raises:
        ConfigError: a class of the model has no training face, so its prior is 0.
    """
    classifier = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    counts = np.bincount(labels, minlength=classifier.out_features)
    if not counts.all():
        raise ConfigError(
            f"class {int(counts.argmin())} has no face in the training split, so its logit cannot be adjusted. "
            "Fix: leave --logit-adjustment out"
        )
    priors = counts / counts.sum()
    shift = strength * np.log(priors)
    with torch.no_grad():
        classifier.bias.sub_(torch.from_numpy(shift - shift.mean()).to(classifier.bias))
    return [round(float(prior), 6) for prior in priors]
