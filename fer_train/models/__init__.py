"""Build architectures by name. Each maps normalized faces (N, 1, H, W) float to logits (N, num_classes), for 48x48.

Modules that use torchvision are imported only when their model is built, because the import of torchvision is slow.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from fer_train.errors import ConfigError, MissingDependencyError
from fer_train.models.batch_norm import measure_batch_norm
from fer_train.models.nano import Nano
from fer_train.models.net import Net
from fer_train.models.senet import SENet

_FROM_SCRATCH: dict[str, Callable[..., nn.Module]] = {"net": Net, "senet": SENet, "nano": Nano}
_PRETRAINED = {
    "resnet18": "resnet",
    "efficientnet_b0": "efficientnet",
    "efficientnet_lite0": "efficientnet_lite",
    "face_resnet": "face_resnet",
    "vit": "vit",
}
"""Name to module of this package; each module has `build(num_classes, dropout)` and `LAYOUT`."""
MODEL_NAMES = (*_FROM_SCRATCH, *_PRETRAINED)


def build_model(
    name: str,
    *,
    num_classes: int,
    dropout: float = 0.3,
    pretrained: Path | None = None,
    faces: Callable[[], Tensor] | None = None,
) -> nn.Module:
    """Return an untrained model, or one whose features are pretrained.

    Args:
        name: one of `MODEL_NAMES`.
        num_classes: width of the logits, at least 2.
        dropout: probability before the classifier, in [0, 1).
        pretrained: local file with a state dict of the torchvision model of that name (.pth, .pt or .safetensors); for
            efficientnet_lite0 also "imagenet", for face_resnet "faces" or a file of dlib's. The classifier stays
            untrained. Nothing is downloaded. None: random weights.
        faces: function that returns normalized training faces (N, 1, H, W) float, on which pretrained weights without
            statistics of batch norm get them; None: they stay without.

    Raises:
        ConfigError: the name is unknown, `num_classes` is below 2, or torchvision has no weights for this name.
        MissingDependencyError: torchvision, or the package with the pretrained weights, is not installed.
        CheckpointError: the file of pretrained weights is missing, damaged, or of another model.
    """
    if name not in MODEL_NAMES:
        raise ConfigError(f"unknown model {name!r}. Known models: {', '.join(MODEL_NAMES)}. Fix: model: one of these")
    if num_classes < 2:
        raise ConfigError(f"num_classes is {num_classes}; a classifier needs at least 2. Fix: num_classes: 2 or more")
    if name in _FROM_SCRATCH:
        if pretrained is not None:
            raise ConfigError(
                f"model {name!r} is this project's own and has no pretrained weights; {pretrained} cannot fit. "
                f"Fix: one of {', '.join(_PRETRAINED)}, or init: a release of fer-train"
            )
        return _FROM_SCRATCH[name](num_classes=num_classes, dropout=dropout)
    try:
        leaf = import_module(f"fer_train.models.{_PRETRAINED[name]}")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"model {name!r} needs {err.name}. Fix: make setup, or pip install 'fer-toolchain[train]'"
        ) from err
    model: nn.Module = leaf.build(num_classes=num_classes, dropout=dropout)
    if pretrained is not None:
        import_module("fer_train.models.pretrained").load_pretrained(model, leaf.LAYOUT, pretrained)
        if faces is not None and not leaf.LAYOUT.has_statistics:
            measure_batch_norm(model, faces())
    return model


__all__ = ["MODEL_NAMES", "Nano", "Net", "SENet", "build_model"]
