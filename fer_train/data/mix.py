"""Apply Mixup and CutMix to a batch on the device."""

import math

import torch
from torch import Tensor

from fer_train.config import MixConfig


class Mixer:
    """Mix each face of a batch, and its targets in the same share, with a partner."""

    def __init__(self, config: MixConfig, seed: int) -> None:
        """Set the parameters and the seed. Random numbers are drawn on the host, so no step waits for the device."""
        self._config = config
        self._host = torch.Generator().manual_seed(seed)

    def __call__(self, images: Tensor, partners: Tensor, *targets: Tensor) -> tuple[Tensor, ...]:
        """Return (images, *targets), mixed, or unchanged with the probability 1 - `probability`.

        Args:
            images: (N, 1, S, S) float32, normalized.
            partners: (N,) int64, index of each face's partner.
            targets: (N, C) each: training targets, teachers' probabilities.
        """
        if self._chance() >= self._config.probability:
            return (images, *targets)
        if self._draws_cutmix():
            images, share = self._paste_box(images, partners)
        else:
            share = self._beta(self._config.mixup_alpha)
            images = torch.lerp(images[partners], images, share)
        return (images, *(torch.lerp(target[partners], target, share) for target in targets))

    def _chance(self) -> float:
        return float(torch.rand((), generator=self._host))

    def _draws_cutmix(self) -> bool:
        if self._config.mixup_alpha and self._config.cutmix_alpha:
            return self._chance() < 0.5
        return self._config.cutmix_alpha > 0

    def _beta(self, alpha: float) -> float:
        gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=self._host)
        return float(gammas[0] / gammas.sum().clamp(min=1e-300))

    def _paste_box(self, images: Tensor, partners: Tensor) -> tuple[Tensor, float]:
        """Paste a box of each partner; return the images and the remaining share of their own area."""
        side = images.shape[-1]
        half = math.sqrt(1 - self._beta(self._config.cutmix_alpha)) * side / 2
        center_y, center_x = self._chance() * side, self._chance() * side
        top, bottom = max(round(center_y - half), 0), min(round(center_y + half), side)
        left, right = max(round(center_x - half), 0), min(round(center_x + half), side)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[partners][:, :, top:bottom, left:right]
        return mixed, 1 - (bottom - top) * (right - left) / side**2
