"""Batch-norm statistics measured anew on faces as they are, after training that only saw augmented ones."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from fer_train.augment import normalize

BATCH_SIZE = 256


def recalibrate_batch_norm(
    model: nn.Module, images: NDArray[np.uint8], *, device: torch.device, mean_std: tuple[float, float]
) -> None:
    """Replace running means and variances by averages over `images`, (N, S, S) uint8; weights stay as they are.

    Augmentation (zoomed, erased, jittered faces) shifts the activations that batch norm averages over while training;
    at test time faces come unaugmented.
    """

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            yield normalize(torch.from_numpy(images[start : start + BATCH_SIZE]), *mean_std)

    update_bn(batches(), model, device=device)
    model.eval()
