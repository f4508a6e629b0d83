"""Compute the training loss: cross-entropy against soft targets and, optionally, teachers' probabilities."""

import torch.nn.functional as F
from torch import Tensor

from fer_train.config import DistillationConfig


def training_loss(
    logits: Tensor, targets: Tensor, teacher: Tensor | None, distillation: DistillationConfig | None
) -> Tensor:
    """Return the mean loss of a batch in nats.

    Args:
        logits: (N, C) float32.
        targets: (N, C); see `training_targets`.
        teacher: (N, C) probabilities at the temperature, or None.
        distillation: weight and temperature; used only with `teacher`.
    """
    hard = F.cross_entropy(logits, targets)
    if teacher is None or distillation is None:
        return hard
    temperature = distillation.temperature
    # Gradients at a temperature are smaller by its square (Hinton et al. 2015, section 2).
    soft = F.cross_entropy(logits / temperature, teacher) * temperature**2
    return (1 - distillation.weight) * hard + distillation.weight * soft
