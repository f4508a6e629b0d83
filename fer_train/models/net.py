"""Net: a plain VGG-style network of four stages, 64-128-256-512 channels, about 4.7 M parameters."""

from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)


def conv_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return a 3x3 convolution without bias (batch norm has one), batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Net(nn.Module):
    """Per stage two conv-BN-ReLU blocks and a 2x2 max-pool; then global average pool, dropout, linear.

    Maps (N, 1, H, W) float, H and W at least 16, to logits (N, num_classes). The intended size is 48x48; because of
    the global pooling, training may start on smaller images.
    """

    def __init__(self, num_classes: int, dropout: float = 0.3) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        in_channels = 1
        for channels in STAGE_CHANNELS:
            stages += [conv_bn_relu(in_channels, channels), conv_bn_relu(channels, channels), nn.MaxPool2d(2)]
            in_channels = channels
        self.features = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces (N, 1, H, W) to logits (N, num_classes)."""
        features = self.pool(self.features(x)).flatten(1)
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
