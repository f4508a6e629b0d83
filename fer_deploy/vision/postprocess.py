"""Convert logits into emotions."""

import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Emotion


def probs_from_logits(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax over the last axis of (N, C), without overflow."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)


def emotions_from_logits(
    logits: NDArray[np.float32], labels: tuple[str, ...], *, temperature: float = 1.0
) -> list[Emotion]:
    """Return one Emotion a row of logits (N, len(labels)); probabilities are softmax(logits / temperature)."""
    return emotions_from_probs(probs_from_logits(logits / np.float32(temperature)), labels)


def emotions_from_probs(probs: NDArray[np.float32], labels: tuple[str, ...]) -> list[Emotion]:
    """Return one Emotion a row of probabilities (N, len(labels))."""
    return [Emotion(labels[int(row.argmax())], float(row.max()), Probabilities.of(row, labels)) for row in probs]
