"""SENet: a residual network with squeeze-and-excitation, 64-128-256-512 channels, about 5.3 M parameters.

Squeeze-and-excitation after Hu et al. 2018 (arXiv 1709.01507); residual basic blocks after He et al. 2015.
"""

from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)
BLOCKS_PER_STAGE = (2, 2, 1, 1)
"""Two blocks per stage, as in ResNet-18, would need 11.3 M parameters, most of them in the last two stages."""
STEM_CHANNELS = 32
SQUEEZE_RATIO = 16


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate in (0, 1) that depends on the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // SQUEEZE_RATIO, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // SQUEEZE_RATIO, channels, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        gated: Tensor = x * self.gate(self.pool(x))
        return gated


class SEBlock(nn.Module):
    """Basic residual block whose branch ends in squeeze-and-excitation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            SqueezeExcitation(out_channels),
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


class SENet(nn.Module):
    """Stem of two 3x3 convolutions, the second with stride 2; four stages of SE blocks, average pool, dropout, linear.

    Maps (N, 1, H, W) float to logits (N, num_classes); 48x48 is the intended size. The stem halves the image (after
    He et al. 2019, arXiv 1812.01187, ResNet-C), because wide convolutions on the full-sized image would need half of
    the network's time.
    """

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, STEM_CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(STEM_CHANNELS),
            nn.ReLU(inplace=True),
            nn.Conv2d(STEM_CHANNELS, STAGE_CHANNELS[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(STAGE_CHANNELS[0]),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        in_channels = STAGE_CHANNELS[0]
        for stage, channels in enumerate(STAGE_CHANNELS):
            for block in range(BLOCKS_PER_STAGE[stage]):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(SEBlock(in_channels, channels, stride))
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
