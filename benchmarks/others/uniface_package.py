"""The package `uniface`: FaceAnalyzer with Emotion on each frame; our networks take the places of its downloads."""

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from others.loop import Loop
from torch import nn
from uniface import FaceAnalyzer
from uniface.attribute import emotion
from uniface.constants import EmotionWeights
from uniface.draw import draw_detections, draw_text_label
from uniface.model_store import get_cache_dir
from uniface.types import Face

from fer_deploy.export.checkpoint import load_checkpoint
from fer_deploy.export.verify.torch_engine import DeployedGraph

OUR_DETECTOR = "YuNet's file of 2026"
OUR_NETWORK = "our network as TorchScript in place of its own: speed only"
_GREEN = (0, 255, 0)
_OF_EIGHT = EmotionWeights.AFFECNET8  # as many classes as ours, whose order it does not know


class YuNet:
    """Our detector's file as a detector of uniface: its five points are in the order that uniface aligns."""

    supports_alignment = True

    def __init__(self, file: str) -> None:
        """Open the file with the parameters of OpenCV's tutorial."""
        self._detector = cv2.FaceDetectorYN.create(file, "", (320, 320), 0.7, 0.3, 5000)

    def detect(self, image: Any) -> list[Face]:
        """Return the faces of a BGR image."""
        self._detector.setInputSize((image.shape[1], image.shape[0]))
        _, rows = self._detector.detect(image)
        return [face_of(row) for row in ([] if rows is None else rows)]


def face_of(row: Any) -> Face:
    """Return a row of cv2.FaceDetectorYN (x, y, w, h, five points, score) as uniface's face."""
    x, y, w, h = row[:4]
    return Face(bbox=np.array([x, y, x + w, y + h]), confidence=float(row[14]), landmarks=row[4:14].reshape(5, 2))


class OfColour(nn.Module):
    """Our network behind uniface's input, (N, 3, 112, 112) of mean 0: it sees the luminance at its own size."""

    def __init__(self, graph: DeployedGraph, size: tuple[int, int]) -> None:
        """Wrap the graph, whose input has this height and width."""
        super().__init__()
        self.graph, self.size = graph, size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (N, C)."""
        gray = nn.functional.interpolate(images.mean(dim=1, keepdim=True), size=self.size)
        return self.graph(gray * 57.6 + 114.4)  # undoes its means and deviations: 0 to 255


def opened(request: dict[str, Any]) -> Loop:
    """Return a loop of its analyzer without recognition; its emotion network is used where its file is at hand."""
    notes = [OUR_DETECTOR]
    with tempfile.TemporaryDirectory() as folder:
        if not (Path(get_cache_dir()) / f"{_OF_EIGHT.value}.script").exists():
            ours = write_script(Path(request["checkpoint"]), Path(folder) / "ours.script")
            emotion.verify_model_weights = lambda _: str(ours)
            notes.append(OUR_NETWORK)
        predictor = emotion.Emotion(model_name=_OF_EIGHT)
    analyzer = FaceAnalyzer(detector=YuNet(request["yunet"]), recognizer=None, predictors=[predictor])

    def step(frame: Any) -> int:
        faces = analyzer.analyze(frame)
        if any(face.emotion is None for face in faces):  # it only logs what fails in a predictor
            raise RuntimeError("uniface named no emotion for a face")
        draw_detections(image=frame, faces=faces)
        for face in faces:
            x, y = map(int, face.bbox[:2])
            draw_text_label(frame, face.emotion, x, y, bg_color=_GREEN)
        return len(faces)

    return Loop(step, "; ".join(notes))


def write_script(checkpoint: Path, path: Path) -> Path:
    """Write a checkpoint's network as the TorchScript that uniface loads, and return its path."""
    loaded = load_checkpoint(checkpoint)
    size = (loaded.spec.input.height, loaded.spec.input.width)
    network = OfColour(DeployedGraph(loaded.model, loaded.spec), size).eval()
    with torch.no_grad():
        torch.jit.trace(network, torch.zeros(1, 3, 112, 112), check_trace=False).save(str(path))
    return path
