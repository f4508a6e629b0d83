"""Nano: a small residual network for edge boxes and crowds, 32-64-128 channels, 0.97 M parameters.

One 48x48 face needs 59 M multiply-adds. Residual basic blocks after He et al. 2015 (arXiv 1512.03385). All layers are
fast in INT8 engines: dense convolutions with 32 channels or more, batch norm, ReLU and addition. There is
no squeeze-and-excitation, no depthwise convolution and no sigmoid.
"""

from torch import Tensor, nn

STAGE_CHANNELS = (32, 64, 128)
BLOCKS_PER_STAGE = (1, 2, 3)
"""Most blocks are at 6x6 with many channels, where INT8 convolutions are fastest."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions plus a shortcut, then ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        out: Tensor = self.relu(self.branch(x) + self.shortcut(x))
        return out


class Nano(nn.Module):
    """One 3x3 convolution with stride 2, three stages of basic blocks, average pool, dropout, linear.

    Maps (N, 1, H, W) float, H and W at least 16, to logits (N, num_classes). At the intended size, 48x48, the stages
    are 24, 12 and 6 pixels wide.
    """

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        in_channels = STAGE_CHANNELS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, in_channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        for stage, channels in enumerate(STAGE_CHANNELS):
            for block in range(BLOCKS_PER_STAGE[stage]):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(BasicBlock(in_channels, channels, stride))
                in_channels = channels
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces (N, 1, H, W) to logits (N, num_classes)."""
        features = self.pool(self.blocks(self.stem(x))).flatten(1)
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
