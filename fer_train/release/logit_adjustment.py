"""Logit adjustment: rare classes gain what their rarity costs them (Menon et al. 2021, arXiv 2007.07314).

A model that is trained on many happy and few disgusted faces expects few disgusted faces. Subtracting
`strength * log(prior)` from the logits takes a share of this expectation away: rare classes are found more often, so
that macro F1 rises, while accuracy stays about the same at small strengths. The subtraction goes into the bias of the
classifier, so that the released file needs no code for it and runs as before.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_train.errors import ConfigError


def adjust_logits(model: nn.Module, labels: NDArray[np.int64], strength: float) -> list[float]:
    """Subtract `strength * log(prior)` from the bias of the model's classifier; return the priors (C,).

    Args:
        model: its last linear layer is the classifier; is changed.
        labels: (N,) classes of the training faces; their shares are the priors.
        strength: 0 changes nothing; 1 makes all classes as likely as each other.

    Raises:
        ConfigError: a class of the model has no training face, so that its prior is 0.
    """
    classifier = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    counts = np.bincount(labels, minlength=classifier.out_features)
    if not counts.all():
        raise ConfigError(
            f"class {int(counts.argmin())} has no face in the training split, so that its logit cannot be adjusted. "
            "Fix: leave --logit-adjustment out"
        )
    priors = counts / counts.sum()
    shift = strength * np.log(priors)
    with torch.no_grad():
        classifier.bias -= torch.from_numpy(shift - shift.mean()).to(classifier.bias)
    return [round(float(prior), 6) for prior in priors]
