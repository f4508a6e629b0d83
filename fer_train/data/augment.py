"""Transform pixels before the network: normalization, and per-sample augmentation of a whole batch.

Runs on the device of the batch, without Python code per image. `normalize` is the evaluation transform and the
reference for the exported graph.

The order is that of a camera: the lens blurs, a small face is scaled up, dim light reduces the contrast, the sensor
adds noise. Rotation, shift and erasing come last.
"""

import functools
import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_train.config import AugmentConfig
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

_ERASE_AREA = (0.02, 0.25)
_ERASE_ASPECT = (0.4, 2.5)
_MOST_FADED = 0.8
_LARGEST_SIGMA = 2.0
"""Largest sigma of the Gaussian blur, in pixels of a 48-pixel face."""
_SMALLEST_SHARE, _LARGEST_SHARE = 1 / 4, 3 / 4
"""Range of the side, 12 to 36 of 48 pixels, to which a face is shrunk before it is scaled up again."""
_LARGEST_NOISE = 6.0
"""Largest standard deviation of the sensor noise, in gray levels."""
FACE_SIDE = 48


def normalize(images: Tensor, mean: float = PIXEL_MEAN, std: float = PIXEL_STD) -> Tensor:
    """Map gray images (N, H, W), uint8 or float in 0 to 255, to (N, 1, H, W) float32, (pixel - mean) / std."""
    return ((images.float() - mean) / std).unsqueeze(1)


@dataclass(frozen=True)
class Draw:
    """Random parameters for each of n faces; a field has n rows, on one device, or is None if it is disabled.

    Attributes:
        brightness: (n,) factor of the pixels.
        contrast: (n,) factor of their distance from the mean, fading included.
        blur: (n,) sigma of a Gaussian, in pixels; 0: no blur.
        small_side: (n,) side in pixels to shrink to before scaling up again; the face's own side: unchanged.
        noise: (n, S, S), added to the pixels.
        theta: (n, 2, 3), see `affine_grid`.
        erased: (n,) whether a box is erased.
        box: (n, 4) that box; see `_boxes`.
    """

    brightness: Tensor
    contrast: Tensor
    blur: Tensor | None
    small_side: Tensor | None
    noise: Tensor | None
    theta: Tensor
    erased: Tensor
    box: Tensor

    def rows(self, chosen: slice) -> "Draw":
        """Return the parameters of some faces, such as one process's share of a batch."""
        parts: dict[str, Any] = {part.name: getattr(self, part.name) for part in fields(self)}
        share: dict[str, Any] = {name: None if part is None else part[chosen] for name, part in parts.items()}
        return Draw(**share)


def augment(images: Tensor, config: AugmentConfig, image_size: int, generator: torch.Generator) -> Tensor:
    """Draw one random variant of each face.

    Args:
        images: (N, H, W) uint8 on any device.
        config: ranges; see `AugmentConfig`.
        image_size: side of the result in pixels; the resampling that warps the face also resizes it.
        generator: on the same device; the only source of randomness.

    Returns:
        (N, 1, image_size, image_size) float32, normalized; areas from outside the image hold the mean.
    """
    drawn = draw(len(images), config, generator, side=images.shape[-1])
    return apply_draw(images, drawn, image_size)


def draw(
    n: int, config: AugmentConfig, generator: torch.Generator, *, side: int = FACE_SIDE, mirrored: Tensor | None = None
) -> Draw:
    """Draw the parameters of n faces; the same generator state gives the same parameters.

    Args:
        n: number of faces.
        config: ranges; see `AugmentConfig`.
        generator: on the device of the faces.
        side: side of the faces before augmentation, in pixels.
        mirrored: (n,) bool, which faces are mirrored; None: random.
    """
    fade = _uniform(n, 0, 1, generator) < config.fade_probability
    blurred = _uniform(n, 0, 1, generator) < config.blur_probability
    kept = torch.where(fade, _uniform(n, 1 - _MOST_FADED, 1, generator), torch.ones((), device=generator.device))
    drawn = Draw(
        brightness=_uniform(n, 1 - config.brightness, 1 + config.brightness, generator),
        contrast=_uniform(n, 1 - config.contrast, 1 + config.contrast, generator) * kept,
        blur=_uniform(n, 0, _LARGEST_SIGMA * side / FACE_SIDE, generator) * blurred,
        theta=_affine_matrices(n, config, generator, mirrored),
        erased=_uniform(n, 0, 1, generator) < config.erase_probability,
        box=_boxes(n, generator),
        small_side=_small_sides(n, side, config.downscale_probability, generator),
        noise=_noise(n, side, config.noise_probability, generator),
    )
    return drawn if config.blur_probability else replace(drawn, blur=None)


def apply_draw(images: Tensor, drawn: Draw, image_size: int) -> Tensor:
    """Apply drawn parameters to (N, H, W) uint8; returns the result of `augment`."""
    pixels = _jitter(_soften(images.float(), drawn), drawn)
    if drawn.noise is not None:
        pixels = (pixels + drawn.noise).clamp(0, 255)
    faces = ((pixels - PIXEL_MEAN) / PIXEL_STD).unsqueeze(1)
    grid = F.affine_grid(drawn.theta, [len(images), 1, image_size, image_size], align_corners=False)
    faces = F.grid_sample(faces, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return _erase(faces, drawn)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def _small_sides(n: int, side: int, probability: float, generator: torch.Generator) -> Tensor | None:
    """Draw (n,) int64; `side` means that a face does not change."""
    if not probability:
        return None
    chosen = _uniform(n, 0, 1, generator) < probability
    low, high = round(side * _SMALLEST_SHARE), round(side * _LARGEST_SHARE)
    sides = torch.randint(low, high + 1, (n,), generator=generator, device=generator.device)
    return torch.where(chosen, sides, side)


def _noise(n: int, side: int, probability: float, generator: torch.Generator) -> Tensor | None:
    """Draw (n, side, side) normally distributed values, with one deviation per face."""
    if not probability:
        return None
    chosen = _uniform(n, 0, 1, generator) < probability
    deviation = _uniform(n, 0, _LARGEST_NOISE, generator) * chosen
    return torch.randn(n, side, side, generator=generator, device=generator.device) * deviation.view(-1, 1, 1)


def _soften(pixels: Tensor, drawn: Draw) -> Tensor:
    """Blur each face (N, S, S), then shrink it and scale it up again.

    Both operations are linear along rows and columns, so one matrix per face does both: softened = M pixels M^T.
    """
    if drawn.blur is None and drawn.small_side is None:
        return pixels
    side = pixels.shape[-1]
    matrix = None if drawn.blur is None else _blur_matrices(drawn.blur, side)
    if drawn.small_side is not None:
        rescaling = _scaling_matrices(side, pixels.device)[drawn.small_side]
        matrix = rescaling if matrix is None else rescaling @ matrix
    assert matrix is not None
    return matrix @ pixels @ matrix.transpose(1, 2)


def _blur_matrices(sigma: Tensor, side: int) -> Tensor:
    """Return (n, side, side): a Gaussian around the diagonal; rows sum to 1, also at the edges."""
    at = torch.arange(side, device=sigma.device, dtype=torch.float32)
    distance = (at.unsqueeze(1) - at).square()
    weights = torch.exp(-distance / (2 * sigma.square().clamp(min=1e-4)).view(-1, 1, 1))
    return weights / weights.sum(dim=2, keepdim=True)


@functools.cache
def _scaling_matrices(side: int, device: torch.device) -> Tensor:
    """Return (side + 1, side, side): for each small side, the matrix that shrinks to it and scales up again."""
    unit = torch.eye(side).view(1, 1, side, side)
    found = torch.zeros(side + 1, side, side)
    for small in range(1, side + 1):
        shrunk = F.interpolate(unit, (small, side), mode="bilinear", align_corners=False, antialias=True)
        found[small] = F.interpolate(shrunk, (side, side), mode="bilinear", align_corners=False)
    return found.to(device)


def _jitter(pixels: Tensor, drawn: Draw) -> Tensor:
    pixels = pixels * drawn.brightness.view(-1, 1, 1)
    mean = pixels.mean(dim=(1, 2), keepdim=True)
    return ((pixels - mean) * drawn.contrast.view(-1, 1, 1) + mean).clamp(0, 255)


def _affine_matrices(
    n: int, config: AugmentConfig, generator: torch.Generator, mirrored: Tensor | None = None
) -> Tensor:
    """Return (n, 2, 3): output to input coordinates in [-1, 1], as `affine_grid` expects them."""
    limit = math.radians(config.rotation_degrees)
    angle = _uniform(n, -limit, limit, generator)
    zoom = 1 / _uniform(n, 1 - config.scale, 1 + config.scale, generator)
    by_chance = _uniform(n, 0, 1, generator) < config.flip_probability
    flip = 1 - 2 * (by_chance if mirrored is None else mirrored).float()
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
