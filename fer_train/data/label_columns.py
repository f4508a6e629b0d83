"""Match the output columns of models with different labels, or another order of labels, by name."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_train.errors import ConfigError

_NEW_CLASS_BIAS = -3.0
"""Added to the mean bias for a class that is new to the source: its first share is about one in twenty."""


def require_shared(names: Sequence[str], wanted: Sequence[str], *, what: str, fix: str) -> None:
    """Check that the shorter label list is contained in the longer one and has two names or more.

    Args:
        names: labels of a model.
        wanted: required labels.
        what: description of the model, for the message.
        fix: end of the message.

    Raises:
        ConfigError: the check failed.
    """
    shared = set(names) & set(wanted)
    if len(shared) < min(len(names), len(wanted)) or len(shared) < 2:
        raise ConfigError(f"{what} has the labels {', '.join(names)}; {', '.join(wanted)} are needed. Fix: {fix}")


def align_logits(logits: NDArray[np.float32], names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """Return logits (N, len(wanted)) of a model whose columns are `names`.

    Other classes are dropped, so that softmax spreads their share over the rest. A wanted class that the model lacks
    gets the face's lowest logit minus 20: it is never predicted, and its loss stays finite.
    """
    if list(names) == list(wanted):
        return logits
    position = {name: i for i, name in enumerate(names)}
    unknown = logits.min(axis=1) - 20.0
    columns = [logits[:, position[name]] if name in position else unknown for name in wanted]
    return np.stack(columns, axis=1).astype(np.float32)


def align_probs(probs: Tensor, names: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """Return probabilities (N, len(wanted)) that sum to 1; a class that the model lacks gets 0."""
    if list(names) == list(wanted):
        return probs
    position = {name: i for i, name in enumerate(names)}
    nothing = torch.zeros_like(probs[:, 0])
    aligned = torch.stack([probs[:, position[name]] if name in position else nothing for name in wanted], dim=1)
    return aligned / aligned.sum(dim=1, keepdim=True).clamp(min=1e-12)


def load_aligned(model: nn.Module, weights: dict[str, Tensor], names: Sequence[str], wanted: Sequence[str]) -> None:
    """Load weights into a model of the same architecture, matching the rows of its classifier by label name.

    A class that the source lacks starts from the mean of the known rows, with a lower bias.

    Args:
        model: model whose last linear layer has one row for each of `wanted`.
        weights: state dict of a model whose last linear layer has one row for each of `names`.
        names: labels of the source.
        wanted: labels of the model.

    Raises:
        RuntimeError: the weights do not fit; see `load_state_dict`.
    """
    if list(names) != list(wanted):
        last = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
        position = {name: i for i, name in enumerate(names)}
        rows = [position.get(name) for name in wanted]
        weight, bias = weights[f"{last}.weight"], weights[f"{last}.bias"]
        if len(weight) != len(names):
            raise RuntimeError(f"{last} has {len(weight)} rows for {len(names)} labels")
        new_bias = bias.mean() + _NEW_CLASS_BIAS
        weights = weights | {
            f"{last}.weight": torch.stack([weight.mean(dim=0) if row is None else weight[row] for row in rows]),
            f"{last}.bias": torch.stack([new_bias if row is None else bias[row] for row in rows]),
        }
    model.load_state_dict(weights)
