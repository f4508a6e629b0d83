"""What happens to pixels before the network: normalization, and per-sample augmentation in one batch.

Runs on whatever device the batch is on, nothing in Python per image. `normalize` is the evaluation transform,
and the reference that the exported graph is held against.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_train.config import AugmentConfig

PIXEL_MEAN = 129.25
PIXEL_STD = 65.05
"""Mean and standard deviation of the pixels (0 to 255) of FER2013's leak-free Training rows; measured here."""

_ERASE_AREA = (0.02, 0.25)
_ERASE_ASPECT = (0.4, 2.5)


def normalize(images: Tensor, mean: float = PIXEL_MEAN, std: float = PIXEL_STD) -> Tensor:
    """Map gray images (N, H, W), uint8 or float in 0 to 255, to (N, 1, H, W) float32, (pixel - mean) / std."""
    return ((images.float() - mean) / std).unsqueeze(1)


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
    pixels = _jitter(images.float().unsqueeze(1), config, generator)
    faces = (pixels - PIXEL_MEAN) / PIXEL_STD
    theta = _affine_matrices(len(images), config, generator, images.device)
    grid = F.affine_grid(theta, [len(images), 1, image_size, image_size], align_corners=False)
    faces = F.grid_sample(faces, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _erase(faces, config, generator)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def _jitter(pixels: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    n = len(pixels)
    brightness = _uniform(n, 1 - config.brightness, 1 + config.brightness, generator).view(n, 1, 1, 1)
    contrast = _uniform(n, 1 - config.contrast, 1 + config.contrast, generator).view(n, 1, 1, 1)
    pixels = pixels * brightness
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    return ((pixels - mean) * contrast + mean).clamp(0, 255)


def _affine_matrices(n: int, config: AugmentConfig, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return (n, 2, 3): output to input coordinates in [-1, 1], as `affine_grid` wants them."""
    limit = math.radians(config.rotation_degrees)
    angle = _uniform(n, -limit, limit, generator)
    zoom = 1 / _uniform(n, 1 - config.scale, 1 + config.scale, generator)
    flip = 1 - 2 * (_uniform(n, 0, 1, generator) < config.flip_probability).float()
    shift = 2 * config.translation  # the side is 2 units long
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0] = torch.cos(angle) * zoom * flip
    theta[:, 0, 1] = -torch.sin(angle) * zoom
    theta[:, 1, 0] = torch.sin(angle) * zoom * flip
    theta[:, 1, 1] = torch.cos(angle) * zoom
    theta[:, 0, 2] = _uniform(n, -shift, shift, generator)
    theta[:, 1, 2] = _uniform(n, -shift, shift, generator)
    return theta


def _erase(faces: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Set one box to the mean in a share of the faces (Zhong et al. 2017, arXiv 1708.04896)."""
    n, _, side, _ = faces.shape
    chosen = _uniform(n, 0, 1, generator) < config.erase_probability
    area = _uniform(n, *_ERASE_AREA, generator)
    aspect = torch.exp(_uniform(n, math.log(_ERASE_ASPECT[0]), math.log(_ERASE_ASPECT[1]), generator))
    half_height, half_width = torch.sqrt(area * aspect) / 2, torch.sqrt(area / aspect) / 2
    center_y, center_x = _uniform(n, 0, 1, generator), _uniform(n, 0, 1, generator)
    at = (torch.arange(side, device=faces.device) + 0.5) / side
    rows = (at.view(1, -1) - center_y.view(-1, 1)).abs() < half_height.view(-1, 1)
    columns = (at.view(1, -1) - center_x.view(-1, 1)).abs() < half_width.view(-1, 1)
    box = rows.unsqueeze(2) & columns.unsqueeze(1) & chosen.view(-1, 1, 1)
    return faces.masked_fill(box.unsqueeze(1), 0.0)
