"""Batch-norm statistics measured anew on faces as they are, after training that only saw augmented ones."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from fer_train.augment import normalize
from fer_train.tta import OnBatch, ignore_batch

BATCH_SIZE = 256


def recalibrate_batch_norm(
    model: nn.Module,
    images: NDArray[np.uint8],
    *,
    device: torch.device,
    mean_std: tuple[float, float],
    dtype: torch.dtype = torch.float32,
    on_batch: OnBatch = ignore_batch,
) -> None:
    """Replace running means and variances by averages over `images`, (N, S, S) uint8; weights stay as they are.

    Augmentation (zoomed, erased, jittered faces) shifts the activations that batch norm averages over while training;
    at test time faces come unaugmented. Another `dtype` than float32 is that of an autocast around the network; the
    statistics themselves are float32 in any case.
    """

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            on_batch(start, len(images))
            yield normalize(torch.from_numpy(images[start : start + BATCH_SIZE]), *mean_std)

    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        update_bn(batches(), model, device=device)
    on_batch(len(images), len(images))
    model.eval()
