"""Measure batch-norm statistics again on unaugmented faces, because training only saw augmented ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from fer_train.amp import resolve_precision
from fer_train.data.augment import normalize
from fer_train.data.faces import Faces
from fer_train.evaluation.views import OnBatch, ignore_batch

BATCH_SIZE = 256


def recalibrate_on_faces(
    model: nn.Module, training: Faces, *, spec: dict[str, Any], on_batch: OnBatch = ignore_batch
) -> None:
    """Measure batch norm again for a model, with the input size of its ModelSpec, on the model's device.

    Computes in bf16 on a GPU that supports it, else in float32.
    """
    device = next(model.parameters()).device
    is_fast = device.type == "cuda" and resolve_precision("auto", device) == "bf16"
    wanted = spec["input"]
    recalibrate_batch_norm(
        model,
        training.resized(wanted["height"]).images,
        device=device,
        mean_std=(wanted["mean"], wanted["std"]),
        dtype=torch.bfloat16 if is_fast else torch.float32,
        on_batch=on_batch,
    )


def recalibrate_batch_norm(
    model: nn.Module,
    images: NDArray[np.uint8],
    *,
    device: torch.device,
    mean_std: tuple[float, float],
    dtype: torch.dtype = torch.float32,
    on_batch: OnBatch = ignore_batch,
) -> None:
    """Replace running means and variances by averages over `images`, (N, S, S) uint8; the weights do not change.

    Augmentation (zoomed, erased, jittered faces) shifts the activations that batch norm averages during training;
    at test time faces are not augmented. A `dtype` other than float32 sets an autocast around the network; the
    statistics themselves are always float32.
    """

    def batches() -> Iterator[Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            on_batch(start, len(images))
            yield normalize(torch.from_numpy(images[start : start + BATCH_SIZE]), *mean_std)

    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        update_bn(batches(), model, device=device)
    on_batch(len(images), len(images))
    model.eval()
