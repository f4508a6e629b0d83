"""Made-up pictures that survive shrinking to 16x16, unlike noise of single pixels."""

from dataclasses import replace

import cv2
import numpy as np

from fer_train.data.faces import Faces


def blob_images(count, seed=0):
    """Return (count, 48, 48) uint8, each a smooth pattern of its own spanning most gray levels."""
    coarse = np.random.default_rng(seed).integers(0, 256, size=(count, 6, 6)).astype(np.uint8)
    return np.stack([cv2.resize(image, (48, 48), interpolation=cv2.INTER_LINEAR) for image in coarse])


def blob_faces(num_training=24, num_public=8, seed=0):
    """Return faces that differ from one another, labels 0 to 6 in turn."""
    total = num_training + num_public
    return Faces(
        images=blob_images(total, seed),
        labels=np.arange(total, dtype=np.int64) % 7,
        splits=np.array(["Training"] * num_training + ["PublicTest"] * num_public),
        rows=np.arange(total, dtype=np.int64),
        source_sha256="5" * 64,
    )


def with_votes(faces, not_face=()):
    """Give each face ten votes for neutral, and those at the positions `not_face` six for "not a face"."""
    votes = np.zeros((len(faces), 10), dtype=np.uint8)
    votes[:, 0] = 10
    votes[list(not_face), 0] = 4
    votes[list(not_face), 9] = 6
    return replace(faces, votes=votes)


def right_probs(labels, confidence=0.9):
    """Return (M, 7) float32 probabilities that agree with the labels."""
    probs = np.full((len(labels), 7), (1 - confidence) / 6, dtype=np.float32)
    probs[np.arange(len(labels)), labels] = confidence
    return probs


def of_kind(findings, kind):
    return [finding.index for finding in findings if finding.kind == kind]
