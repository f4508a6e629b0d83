"""Video loops of supervision and Ultralytics, with our detector and our engine inside."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from others.loop import Loop

from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import open_engine
from fer_deploy.vision.preprocess import CropConfig, images_from_faces

Found = tuple[np.ndarray, list[str]]


def opened(request: dict[str, Any]) -> Loop:
    """Return the loop of the project that "kind" names: its reader, our engine, its drawing."""
    find = _finder(request)
    return _supervision(find) if request["kind"] == "supervision" else _ultralytics(find)


def _finder(request: dict[str, Any]) -> Callable[[Any], Found]:
    """Return what finds the faces of a frame: boxes (N, 4), and the emotions."""
    detection = DetectorConfig(detector="yunet", detector_model=Path(request["yunet"]))
    detector = build_detectors(detection)()
    engine = open_engine(request["onnx"], device="cpu")

    def find(frame: Any) -> Found:
        found = detector.detect(frame)
        if not found:
            return np.zeros((0, 4)), []
        images = images_from_faces(frame, found, engine.spec.input, CropConfig())
        boxes = [(one.box.x1, one.box.y1, one.box.x2, one.box.y2) for one in found]
        return np.array(boxes), [engine.spec.labels[index] for index in engine.infer(images).argmax(axis=1)]

    return find


def _supervision(find: Callable[[Any], Found]) -> Loop:
    import supervision as sv  # noqa: PLC0415 - Ultralytics' loop runs without it

    boxes_drawn, labels_drawn = sv.BoxAnnotator(), sv.LabelAnnotator()

    def step(frame: Any) -> int:
        boxes, labels = find(frame)
        if labels:
            detections = sv.Detections(xyxy=boxes.astype(np.float32), class_id=np.zeros(len(labels), dtype=int))
            boxes_drawn.annotate(frame, detections)
            labels_drawn.annotate(frame, detections, labels=labels)
        return len(labels)

    return Loop(step, "our detector and engine", sv.get_video_frames_generator)


def _ultralytics(find: Callable[[Any], Found]) -> Loop:
    from ultralytics.data.loaders import LoadImagesAndVideos  # noqa: PLC0415 - as above
    from ultralytics.utils.plotting import Annotator  # noqa: PLC0415

    def frames(clip: str) -> Iterator[Any]:
        for _, images, _ in LoadImagesAndVideos(clip):
            yield from images

    def step(frame: Any) -> int:
        boxes, labels = find(frame)
        drawn = Annotator(frame)
        for box, label in zip(boxes, labels, strict=True):
            drawn.box_label(box, label)
        drawn.result()
        return len(labels)

    return Loop(step, "our detector and engine", frames)
