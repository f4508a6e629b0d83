"""Build resnet18: torchvision's ResNet-18 with a stem for small gray faces, about 11.2 M parameters.

He et al. 2015 (arXiv 1512.03385). The stem, one 3x3 convolution of stride 1 and no max-pool, is that of the strongest
FER2013 recipe from scratch (LetheSec, Fer2013-Facial-Emotion-Recognition-Pytorch): 48x48 faces give 6x6 features; with
the stem for 224x224 it would be 2x2.
"""

from torch import nn
from torchvision import models  # type: ignore[import-untyped]

from fer_train.models.pretrained import Layout

LAYOUT = Layout(name="torchvision's resnet18", stem="conv1.weight", head="fc.")


def build(num_classes: int, dropout: float) -> nn.Module:
    """Return the network for (N, 1, H, W) float, H and W at least 16; H = W = 48 is intended.

    Args:
        num_classes: width of the logits.
        dropout: probability before the classifier, in [0, 1).
    """
    model: nn.Module = models.resnet18(weights=None)
    stem = nn.Conv2d(1, 64, kernel_size=3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's other convolutions
    model.conv1 = stem
    model.maxpool = nn.Identity()
    model.fc = nn.Sequential(nn.Dropout(dropout), nn.Linear(512, num_classes))
    return model
