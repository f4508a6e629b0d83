"""The package `deepface`: DeepFace.analyze on each frame, with its own network and, unless at hand, random weights."""

import os
from pathlib import Path
from typing import Any

import cv2
from deepface import DeepFace
from deepface.commons import folder_utils, weight_utils
from others.loop import Loop

WEIGHTS = "facial_expression_model_weights.h5"
RANDOM = "random weights: speed only"
MIN_SCORE = "0.7"
"""As in OpenCV's tutorial. deepface's own limit of 0.9 is for the file of 2023; that of 2026 scores lower."""
SCORE_VARIABLE = "yunet_score_threshold"
OUR_DETECTOR = f"YuNet's file of 2026, score at least {MIN_SCORE}"


def opened(request: dict[str, Any]) -> Loop:
    """Return a loop of DeepFace.analyze for emotions. "detector" is one of its backends."""
    notes = _without_downloads(request)

    def step(frame: Any) -> int:
        found = DeepFace.analyze(
            frame, actions=["emotion"], detector_backend=request["detector"], enforce_detection=False, silent=True
        )
        faces = [face for face in found if face["face_confidence"] > 0]  # without a face it classifies the whole frame
        for face in faces:
            x, y, w, h = (face["region"][key] for key in "xywh")
            cv2.rectangle(frame, (x, y), (x + w, y + h), (0, 255, 0), 2)
            cv2.putText(frame, face["dominant_emotion"], (x, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 0), 2)
        return len(faces)

    return Loop(step, "; ".join(notes))


def _without_downloads(request: dict[str, Any]) -> list[str]:
    """Give it our detector's file and random weights in place of downloads; return what was replaced."""
    home = Path(folder_utils.get_deepface_home()) / ".deepface" / "weights"
    load, notes = weight_utils.load_model_weights, []

    def file_at_hand(file_name: str, source_url: Any, compress_type: str | None = None) -> str:
        return request["yunet"] if "yunet" in file_name else str(home / file_name)

    def load_or_random(model: Any, weight_file: str) -> Any:
        return load(model=model, weight_file=weight_file) if Path(weight_file).exists() else model

    weight_utils.download_weights_if_necessary = file_at_hand
    weight_utils.load_model_weights = load_or_random
    if request["detector"] == "yunet":
        os.environ[SCORE_VARIABLE] = MIN_SCORE  # deepface reads it for each frame
        notes.append(OUR_DETECTOR)
    if not (home / WEIGHTS).exists():
        notes.append(RANDOM)
    return notes
