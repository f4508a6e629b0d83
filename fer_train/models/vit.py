"""Build vit: torchvision's VisionTransformer with layers like DeiT-Tiny's, 6x6 patches, about 3.6 M parameters.

Dosovitskiy et al. 2021 (arXiv 2010.11929); width 192 and 3 heads after Touvron et al. 2021 (DeiT-Ti, arXiv
2012.12877), 8 layers instead of its 12 for a data set of 28,000 faces. A 48x48 face is 64 patches and a class token.

Pretrained weights must have this width and depth, with any size of patch and image. The ViTs that torchvision
publishes do not fit: they are 768 wide or wider.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models  # type: ignore[import-untyped]

from fer_train.models.pretrained import Layout, resized_positions

LAYOUT = Layout(name="torchvision's vit", stem="conv_proj.weight", head="heads.", positions="encoder.pos_embedding")
IMAGE_SIZE = 48
PATCH_SIZE = 6
NUM_LAYERS = 8
NUM_HEADS = 3
HIDDEN_DIM = 192
MLP_DIM = 4 * HIDDEN_DIM


class ViT(nn.Module):
    """Torchvision's VisionTransformer, with the same tensor names, for any image size.

    Maps (N, 1, H, W) float to logits (N, num_classes). An image whose sides are not multiples of 6 is padded with
    zeros (the mean of normalized pixels, as augmentation pads shifted faces), so training may start at 32 or 40
    pixels. For other sizes than 48x48 the position embedding is interpolated to the grid of patches.
    """

    def __init__(self, num_classes: int, dropout: float) -> None:
        super().__init__()
        parts = models.VisionTransformer(
            image_size=IMAGE_SIZE,
            patch_size=PATCH_SIZE,
            num_layers=NUM_LAYERS,
            num_heads=NUM_HEADS,
            hidden_dim=HIDDEN_DIM,
            mlp_dim=MLP_DIM,
            num_classes=num_classes,
        )
        self.conv_proj = nn.Conv2d(1, HIDDEN_DIM, kernel_size=PATCH_SIZE, stride=PATCH_SIZE)
        nn.init.trunc_normal_(self.conv_proj.weight, std=1 / PATCH_SIZE)  # 1 / sqrt(fan in), as in torchvision
        nn.init.zeros_(self.conv_proj.bias)  # type: ignore[arg-type]  # it has a bias
        self.class_token = nn.Parameter(parts.class_token.detach())
        self.encoder: nn.Module = parts.encoder
        head = nn.Linear(HIDDEN_DIM, num_classes)
        nn.init.trunc_normal_(head.weight, std=0.02)  # torchvision uses zeros, for fine-tuning
        nn.init.zeros_(head.bias)
        self.heads = nn.Sequential(nn.Dropout(dropout), head)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized faces (N, 1, H, W) to logits (N, num_classes)."""
        patches = self.conv_proj(_padded(x))
        grid = (int(patches.shape[2]), int(patches.shape[3]))
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        positions = resized_positions(self.encoder.get_parameter("pos_embedding"), grid)
        encoded = self.encoder.get_submodule("layers")(tokens + positions)
        logits: Tensor = self.heads(self.encoder.get_submodule("ln")(encoded)[:, 0])
        return logits


def _padded(x: Tensor) -> Tensor:
    """Return images (N, C, H, W), zero-padded to the next multiple of the patch size in both directions."""
    down, right = (-x.shape[2] % PATCH_SIZE, -x.shape[3] % PATCH_SIZE)
    if not down and not right:
        return x
    return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))


def build(num_classes: int, dropout: float) -> nn.Module:
    """Return the network; see `ViT`.

    Args:
        num_classes: width of the logits.
        dropout: probability before the classifier, in [0, 1).
    """
    return ViT(num_classes, dropout)
