"""The package `fer`: its own detection (Haar) and its own model, as its README shows. The model is in its wheel."""

from typing import Any

import cv2
import numpy as np
from fer.fer import FER
from fer.utils import draw_annotations
from others.loop import Loop

_BATCH = 256


def opened(request: dict[str, Any]) -> Loop:
    """Return the loop of its README: detect_emotions, draw. "tflite" picks the model; the package prefers TFLite."""
    detector = FER(use_tflite=request["tflite"])

    def step(frame: Any) -> int:
        faces = detector.detect_emotions(frame)
        draw_annotations(frame, faces)
        return len(faces)

    return Loop(step)


def probabilities(request: dict[str, Any], faces: Any) -> Any:
    """Return (N, 7) probabilities of gray faces (N, 48, 48) uint8, scaled to its 64x64 and normalized as it does.

    Its crop of a face in a picture adds 10 pixels on each side; FER2013's faces are crops already.
    """
    detector = FER(use_tflite=request["tflite"])
    resized = np.stack([cv2.resize(face, (64, 64)) for face in faces]).astype(np.float32)
    images = (resized / 255 - 0.5) * 2
    if request["tflite"]:
        return detector._classify_emotions(images)
    keras = detector._FER__emotion_classifier
    starts = range(0, len(images), _BATCH)
    return np.concatenate([np.asarray(keras(images[start : start + _BATCH, :, :, None])) for start in starts])
