"""Architectures by name. Each maps normalized faces (N, 1, 48, 48) float to logits (N, num_classes)."""

from collections.abc import Callable

from torch import nn

from fer_train.errors import ConfigError
from fer_train.models.net import Net
from fer_train.models.senet import SENet

_BUILDERS: dict[str, Callable[..., nn.Module]] = {"net": Net, "senet": SENet}
MODEL_NAMES = tuple(_BUILDERS)


def build_model(name: str, *, num_classes: int, dropout: float = 0.3) -> nn.Module:
    """Return an untrained model.

    Args:
        name: one of `MODEL_NAMES`.
        num_classes: width of the logits, at least 2.
        dropout: probability in front of the classifier, in [0, 1).

    Raises:
        ConfigError: the name is unknown or `num_classes` is below 2.
    """
    if name not in _BUILDERS:
        raise ConfigError(f"unknown model {name!r}. Known models: {', '.join(MODEL_NAMES)}")
    if num_classes < 2:
        raise ConfigError(f"num_classes is {num_classes}; a classifier needs at least 2")
    return _BUILDERS[name](num_classes=num_classes, dropout=dropout)


__all__ = ["MODEL_NAMES", "Net", "SENet", "build_model"]
