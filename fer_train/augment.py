"""What happens to pixels before the network: normalization, and per-sample augmentation in one batch.

Runs on whatever device the batch is on, nothing in Python per image. `normalize` is the evaluation transform,
and the reference that the exported graph is held against.
"""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_train.config import AugmentConfig

PIXEL_MEAN = 129.25
PIXEL_STD = 65.05
"""Mean and standard deviation of the pixels (0 to 255) of FER2013's leak-free Training rows; measured here."""

_ERASE_AREA = (0.02, 0.25)
_ERASE_ASPECT = (0.4, 2.5)
_MOST_FADED = 0.8


def normalize(images: Tensor, mean: float = PIXEL_MEAN, std: float = PIXEL_STD) -> Tensor:
    """Map gray images (N, H, W), uint8 or float in 0 to 255, to (N, 1, H, W) float32, (pixel - mean) / std."""
    return ((images.float() - mean) / std).unsqueeze(1)


@dataclass(frozen=True)
class Draw:
    """What chance decided for each of n faces; every field has n rows, on one device."""

    brightness: Tensor
    contrast: Tensor
    blur: Tensor
    theta: Tensor
    erased: Tensor
    box: Tensor

    def rows(self, chosen: slice) -> "Draw":
        """Return the draw of some of the faces: one process's share of a batch."""
        return Draw(*(getattr(self, part.name)[chosen] for part in fields(self)))


def augment(images: Tensor, config: AugmentConfig, image_size: int, generator: torch.Generator) -> Tensor:
    """Draw one random variant of each face.

    Args:
        images: (N, H, W) uint8 on any device.
        config: ranges; see `AugmentConfig`.
        image_size: side of the result in pixels; the one resampling that warps also resizes.
        generator: on the same device; the only source of randomness.

    Returns:
        (N, 1, image_size, image_size) float32, normalized; areas from outside the image hold the mean.
    """
    return apply_draw(images, draw(len(images), config, generator), image_size)


def draw(n: int, config: AugmentConfig, generator: torch.Generator) -> Draw:
    """Decide the variants of n faces; the same generator state gives the same variants."""
    fade = _uniform(n, 0, 1, generator) < config.fade_probability
    blurred = _uniform(n, 0, 1, generator) < config.blur_probability
    kept = torch.where(fade, _uniform(n, 1 - _MOST_FADED, 1, generator), torch.ones((), device=generator.device))
    return Draw(
        brightness=_uniform(n, 1 - config.brightness, 1 + config.brightness, generator),
        contrast=_uniform(n, 1 - config.contrast, 1 + config.contrast, generator) * kept,
        blur=_uniform(n, 0, 1, generator) * blurred,
        theta=_affine_matrices(n, config, generator),
        erased=_uniform(n, 0, 1, generator) < config.erase_probability,
        box=_boxes(n, generator),
    )


def apply_draw(images: Tensor, drawn: Draw, image_size: int) -> Tensor:
    """Turn (N, H, W) uint8 into what was drawn; see `augment` for the result."""
    pixels = _blur(_jitter(images.float().unsqueeze(1), drawn), drawn)
    faces = (pixels - PIXEL_MEAN) / PIXEL_STD
    grid = F.affine_grid(drawn.theta, [len(images), 1, image_size, image_size], align_corners=False)
    faces = F.grid_sample(faces, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _erase(faces, drawn)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def _jitter(pixels: Tensor, drawn: Draw) -> Tensor:
    pixels = pixels * drawn.brightness.view(-1, 1, 1, 1)
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return ((pixels - mean) * drawn.contrast.view(-1, 1, 1, 1) + mean).clamp(0, 255)


def _blur(pixels: Tensor, drawn: Draw) -> Tensor:
    """Move each face a drawn part of the way to its 5x5 mean."""
    padded = F.pad(pixels, (2, 2, 2, 2), mode="replicate")
    return torch.lerp(pixels, F.avg_pool2d(padded, 5, stride=1), drawn.blur.view(-1, 1, 1, 1))


def _affine_matrices(n: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return (n, 2, 3): output to input coordinates in [-1, 1], as `affine_grid` wants them."""
    limit = math.radians(config.rotation_degrees)
    angle = _uniform(n, -limit, limit, generator)
    zoom = 1 / _uniform(n, 1 - config.scale, 1 + config.scale, generator)
    flip = 1 - 2 * (_uniform(n, 0, 1, generator) < config.flip_probability).float()
    shift = 2 * config.translation  # the side is 2 units long
    theta = torch.zeros(n, 2, 3, device=generator.device)
    theta[:, 0, 0] = torch.cos(angle) * zoom * flip
    theta[:, 0, 1] = -torch.sin(angle) * zoom
    theta[:, 1, 0] = torch.sin(angle) * zoom * flip
    theta[:, 1, 1] = torch.cos(angle) * zoom
    theta[:, 0, 2] = _uniform(n, -shift, shift, generator)
    theta[:, 1, 2] = _uniform(n, -shift, shift, generator)
    return theta


def _boxes(n: int, generator: torch.Generator) -> Tensor:
    """Return (n, 4): center y, center x, half height, half width, as shares of the side."""
    area = _uniform(n, *_ERASE_AREA, generator)
    aspect = torch.exp(_uniform(n, math.log(_ERASE_ASPECT[0]), math.log(_ERASE_ASPECT[1]), generator))
    center_y, center_x = _uniform(n, 0, 1, generator), _uniform(n, 0, 1, generator)
    return torch.stack([center_y, center_x, torch.sqrt(area * aspect) / 2, torch.sqrt(area / aspect) / 2], dim=1)


def _erase(faces: Tensor, drawn: Draw) -> Tensor:
    """Set one box to the mean in a share of the faces (Zhong et al. 2017, arXiv 1708.04896)."""
    side = faces.shape[-1]
    at = (torch.arange(side, device=faces.device) + 0.5) / side
    center_y, center_x, half_height, half_width = drawn.box.unsqueeze(2).unbind(1)
    rows = (at - center_y).abs() < half_height
    columns = (at - center_x).abs() < half_width
    box = rows.unsqueeze(2) & columns.unsqueeze(1) & drawn.erased.view(-1, 1, 1)
    return faces.masked_fill(box.unsqueeze(1), 0.0)
