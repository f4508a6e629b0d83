"""Our ONNX file in other runtimes: OpenCV DNN and OpenVINO, in the YuNet tutorial's loop, face by face."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import cv2
import numpy as np
from others.loop import Loop

from fer_deploy.privacy import telemetry

SIZE = (48, 48)


def opened(request: dict[str, Any]) -> Loop:
    """Return the loop of OpenCV's tutorial for cv2.FaceDetectorYN, with "onnx" in the runtime that "kind" names."""
    detector = cv2.FaceDetectorYN.create(request["yunet"], "", (320, 320), 0.7, 0.3, 5000)
    infer = (_openvino if request["kind"] == "openvino" else _opencv)(request["onnx"])

    def step(frame: Any) -> int:
        detector.setInputSize((frame.shape[1], frame.shape[0]))
        _, faces = detector.detect(frame)
        num = 0
        for left, top, w, h in [] if faces is None else [map(int, face[:4]) for face in faces]:
            x, y = max(0, left), max(0, top)
            crop = frame[y : y + h, x : x + w]
            if crop.size == 0:
                continue
            logits = infer(cv2.resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), SIZE)[None, None])
            label = request["labels"][int(logits[0].argmax())]
            cv2.rectangle(frame, (x, y), (x + w, y + h), (0, 255, 0), 2)
            cv2.putText(frame, label, (x, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 0), 2)
            num += 1
        return num

    return Loop(step)


def probabilities(request: dict[str, Any], faces: Any) -> Any:
    """Return (N, C) probabilities of gray faces (N, 48, 48) uint8."""
    infer = (_openvino if request["kind"] == "openvino" else _opencv)(request["onnx"])
    logits = np.concatenate([infer(face[None, None]) for face in faces]).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _opencv(onnx: str) -> Callable[[Any], Any]:
    network = cv2.dnn.readNetFromONNX(onnx)

    def infer(images: Any) -> Any:
        network.setInput(images)
        return network.forward().copy()  # the next call may write to the same memory

    return infer


def _openvino(onnx: str) -> Callable[[Any], Any]:
    with telemetry.openvino_kept_silent():
        openvino = import_module("openvino")  # the other runtime is OpenCV, without it
    core = openvino.Core()
    model = core.read_model(onnx)
    model.reshape([1, 1, *SIZE])
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    return lambda images: compiled(images)[0]
