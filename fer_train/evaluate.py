"""Run a model over faces and measure it: loss, accuracy, macro-F1, precision, recall, per class, confusion."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from torch import nn

from fer_train.augment import PIXEL_MEAN, PIXEL_STD, normalize
from fer_train.data.faces import Faces, labels_for
from fer_train.errors import DataError

BATCH_SIZE = 256


@dataclass(frozen=True)
class Metrics:
    """Measures of one model on one split. Averages are macro: every class counts the same.

    Attributes:
        num_faces: how many faces were measured.
        loss: mean cross-entropy in nats, without label smoothing.
        accuracy, f1, precision, recall: 0 to 1; f1, precision and recall are macro averages.
        per_class: for each label its precision, recall, f1 and support.
        confusion: counts, row = true label, column = predicted label.
    """

    num_faces: int
    loss: float
    accuracy: float
    f1: float
    precision: float
    recall: float
    per_class: dict[str, dict[str, float]]
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    images: NDArray[np.uint8],
    *,
    device: torch.device,
    flip: bool = False,
    dtype: torch.dtype = torch.float32,
    mean_std: tuple[float, float] = (PIXEL_MEAN, PIXEL_STD),
) -> NDArray[np.float32]:
    """Return logits (N, num_classes) for gray faces (N, 48, 48) uint8; the model is left in eval mode.

    With `flip` they are the mean over each face and its mirror image (test-time augmentation).
    """
    model.eval()
    parts = []
    for start in range(0, len(images), BATCH_SIZE):
        faces = normalize(torch.from_numpy(images[start : start + BATCH_SIZE]).to(device), *mean_std)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(faces).float()
            if flip:
                logits = (logits + model(faces.flip(3)).float()) / 2
        parts.append(logits)
    return np.asarray(torch.cat(parts).cpu().numpy(), dtype=np.float32)


def measure(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Metrics:
    """Compare logits (N, C) with labels (N,); a class without any face or prediction counts as 0.

    Raises:
        DataError: a label that the model has no class for.
    """
    num_classes = logits.shape[1]
    if labels.max() >= num_classes:
        raise DataError(
            f"the data hold label {labels.max()}, the model knows {num_classes} classes, 0 to {num_classes - 1}"
        )
    classes = list(range(num_classes))
    predicted = logits.argmax(axis=1)
    per_class = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    precision, recall, f1, support = (np.asarray(part, dtype=float) for part in per_class)
    return Metrics(
        num_faces=len(labels),
        loss=float(F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))),
        accuracy=float((predicted == labels).mean()),
        f1=float(f1.mean()),
        precision=float(precision.mean()),
        recall=float(recall.mean()),
        per_class={
            name: {"precision": precision[c], "recall": recall[c], "f1": f1[c], "support": support[c]}
            for c, name in enumerate(labels_for(num_classes))
        },
        confusion=confusion_matrix(labels, predicted, labels=classes).tolist(),
    )


def evaluate(
    model: nn.Module,
    faces: Faces,
    *,
    device: torch.device,
    flip: bool = False,
    dtype: torch.dtype = torch.float32,
    mean_std: tuple[float, float] = (PIXEL_MEAN, PIXEL_STD),
) -> Metrics:
    """Measure a model on faces of the size that it was made for; see `predict_logits` and `measure`."""
    logits = predict_logits(model, faces.images, device=device, flip=flip, dtype=dtype, mean_std=mean_std)
    return measure(logits, faces.labels)
