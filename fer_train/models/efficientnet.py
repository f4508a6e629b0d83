"""Build efficientnet_b0: torchvision's EfficientNet-B0 with a stem for small gray faces, about 4.0 M parameters.

Tan and Le 2019 (arXiv 1905.11946). The stem has stride 1 instead of 2, so 48x48 faces give 3x3 features instead of 2x2.
Stochastic depth has torchvision's default, 0.2.
"""

from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from fer_train.models.pretrained import Layout

LAYOUT = Layout(name="torchvision's efficientnet_b0", stem="features.0.0.weight", head="classifier.")


def build(num_classes: int, dropout: float) -> nn.Module:
    """Return the network for (N, 1, H, W) float, H and W at least 16; H = W = 48 is intended.

    Args:
        num_classes: width of the logits.
        dropout: probability before the classifier, in [0, 1).
    """
    model: nn.Module = models.efficientnet_b0(weights=None, num_classes=num_classes, dropout=dropout)
    stem = nn.Conv2d(1, 32, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out")  # as torchvision's other convolutions
    model.set_submodule("features.0.0", stem)
    return model
