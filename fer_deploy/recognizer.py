"""Recognizer: the Python entry point. Pictures, crops or a camera in; faces with emotions out.

from fer_deploy import Recognizer

with Recognizer() as recognizer:
    for face in recognizer.analyze("photo.jpg"):
        print(face.box, face.label, face.confidence, face.probs)
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, starmap
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Self, overload

import numpy as np
from numpy.typing import NDArray

from fer_deploy.artifacts import Family
from fer_deploy.detectors import DetectorConfig, DetectorFactory, DetectorName, build_detectors, describe_detector
from fer_deploy.engines import Device, Engine
from fer_deploy.engines.config import EngineChoice
from fer_deploy.engines.shared import SharedEngine
from fer_deploy.errors import ConfigError, EngineError
from fer_deploy.inputs import (
    Boxes,
    Picture,
    bgr_from_picture,
    detections_from_boxes,
    images_from_crops,
    is_one_picture,
    paired,
)
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sources import open_source
from fer_deploy.live.threads.cores import in_parallel
from fer_deploy.settings import load_settings
from fer_deploy.spec import ModelSpec
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.postprocess import emotions_from_logits, probs_from_logits
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.quality_measures import measured_faces
from fer_deploy.vision.tracking.people import People
from fer_deploy.vision.types import FaceResult, FrameResult, TrackedFace

CPU_BATCH: Final = 64
"""Faces a call for an engine that computes on the calling thread; the cores compute several batches at once."""
GPU_BATCH: Final = 1024
"""Faces a call for any other engine, which splits them into the batches that it was built for."""


class RecognizerConfig(EngineChoice):
    """All settings of a `Recognizer`; the defaults are those of the live loop.

    This and the other configs raise `pydantic.ValidationError` for unknown settings and wrong values.
    """

    detection: DetectorConfig = DetectorConfig()
    pipeline: PipelineConfig = PipelineConfig()


class _Look(NamedTuple):
    """Faces found in one picture, their (N, 1, height, width) images for the network, and their qualities."""

    faces: tuple[TrackedFace, ...]
    images: NDArray[np.uint8]
    qualities: list[FaceQuality]


class Recognizer:
    """Finds faces and their emotions, with the same pixels and the same probabilities as the live loop.

    Every method may be called from several threads at once. Close it when no call is running, or use it as a context
    manager. The face detector is loaded when it is first needed.
    """

    def __init__(
        self,
        *,
        model: Family | None = None,
        engine: str | Path | Engine | None = None,
        device: Device | None = None,
        detector: DetectorName | None = None,
        detector_model: str | Path | None = None,
        config: RecognizerConfig | None = None,
    ) -> None:
        """Load the model. By default: the bundled model, on the best device, and the best detector available.

        Args:
            model: bundled model: "ferplus" (real pictures), "nano-ferplus" (many faces) or "fer2013" (the benchmark).
                [default: ferplus]
            engine: your own model file in place of `model`, or a folder that `fer-deploy bench` measured, whose best
                model is taken; or an opened Engine, which you must close yourself.
            device: "auto", "cpu", "cuda", "tensorrt", "tensorrt-rtx" or "openvino".  [default: auto]
            detector: "yunet", "haar", or "auto" for YuNet if its file is available.  [default: auto]
            detector_model: YuNet's .onnx, or a .plan of it; or `triton://HOST:8001/MODEL`, a YuNet on a Triton server.
            config: all settings as one object, in place of the other arguments.

        Raises:
            ConfigError: unknown or contradictory values.
            ArtifactError, MissingDependencyError, EngineError: see `open_engine`.
        """
        opened = engine if isinstance(engine, Engine) else None
        given: dict[str, Any] = {"model": model, "engine": None if opened else engine, "device": device}
        given["detection"] = _given(detector=detector, detector_model=detector_model) or None
        names = {f"detection.{name}": name for name in given["detection"] or ()}
        if config is not None and not isinstance(config, RecognizerConfig):
            raise ConfigError(f"config is {type(config).__name__}. Fix: config=RecognizerConfig(...), or leave it out")
        if config is not None and (opened or _given(**given)):
            raise ConfigError(
                "config is given together with other arguments. Fix: put everything into config, or leave it out"
            )
        if opened is not None and _given(model=model, device=device):
            raise ConfigError("an opened engine has its model and device. Fix: leave model and device out")
        self._config = config or load_settings(RecognizerConfig, None, given, where="Recognizer", names=names)
        self._own = None if opened else self._config.open()
        inner = opened or self._own
        assert inner is not None
        self._engine = inner if inner.is_concurrent else SharedEngine(inner)
        self._batch = CPU_BATCH if inner.is_concurrent else GPU_BATCH
        self._people, self._crop = self._config.pipeline.people.for_model(self.spec), self._config.pipeline.crop
        self._lock, self._is_closed = threading.Lock(), False
        self._new_detector: DetectorFactory | None = None
        self._idle_detectors: list[Detector] = []

    @property
    def spec(self) -> ModelSpec:
        """The model's contract and provenance."""
        return self._engine.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions that the model knows, in the order of `classify`'s columns."""
        return self.spec.labels

    @property
    def detector(self) -> str:
        """Which detector finds the faces: "Haar", which misses turned and small ones, or "YuNet (FILE)"."""
        return describe_detector(self._config.detection)

    @property
    def description(self) -> str:
        """Backend, provider and precision of the engine, and why it was chosen from a folder, as text for users."""
        return "; ".join(filter(None, (self._engine.description, self._config.choice_line)))

    @overload
    def analyze(self, pictures: Picture, boxes: Boxes | None = None) -> list[FaceResult]: ...  # type: ignore[overload-overlap]

    @overload
    def analyze(
        self, pictures: Iterable[Picture], boxes: Sequence[Boxes | None] | None = None
    ) -> list[list[FaceResult]]: ...

    def analyze(self, pictures: Any, boxes: Any = None) -> Any:
        """Return the faces of a picture from left to right; for several pictures, one list each.

        People are not recognized from one picture to the next: track numbers start from 1 in each.

        Args:
            pictures: a path, the bytes of a picture file, or an array (H, W, 3) uint8 BGR or (H, W) uint8 gray; or an
                iterable of them. Only the first picture of a file is analyzed.
            boxes: faces from another detector, (x1, y1, x2, y2) in pixels, x2 and y2 exclusive; the results are in
                their order, and the boxes are clipped to the picture. For several pictures: a sequence with the boxes
                of each, or None for a picture in which to find faces.

        Raises:
            StreamError: a file that cannot be read, or that is not a picture.
            EngineError: an array of another dtype or shape, a box without a pixel of the picture, a closed Recognizer,
                or an engine that failed.
            ArtifactError, MissingDependencyError: the face detector cannot be loaded.
        """
        self._require_open()
        if is_one_picture(pictures):
            return self._results([self._look(pictures, boxes, "the picture")])[0]
        named = ((picture, of_it, f"picture {i}") for i, (picture, of_it) in enumerate(paired(pictures, boxes)))
        return self._results(in_parallel(lambda one: self._look(*one), named))

    def classify(self, crops: Iterable[Picture] | NDArray[np.uint8]) -> Probabilities:
        """Return the probability of every label for crops of one face each, (N, C) float32 with `.labels`.

        Args:
            crops: of any size, in any form that `analyze` accepts, or one array (N, H, W) gray or (N, H, W, 3) BGR.
                Each is resized as a whole, so a crop should be about square, with the face as large as in FER2013.

        Raises:
            StreamError, EngineError: as `analyze`.
        """
        self._require_open()
        logits = self._logits(images_from_crops(crops, self.spec.input))
        return Probabilities.of(probs_from_logits(logits / np.float32(self.spec.temperature)), self.labels)

    def stream(self, source: int | str | Path) -> Iterator[FrameResult]:
        """Run the live loop on a source and yield one result a frame, with people tracked and emotions smoothed.

        Leaving the loop, for example by `break`, ends the run and releases the source. If the caller is too slow,
        results of a live source are dropped; a recording waits.

        Args:
            source: a camera number, a video file, a URL, or anything else that `open_source` accepts.

        Raises:
            StreamError: the source cannot be opened, or fails.
            FerDeployError: as `LivePipeline.run`.
        """
        self._require_open()
        return self._stream(source)

    def close(self) -> None:
        """Free the model. Further calls do nothing."""
        self._is_closed = True
        self._idle_detectors.clear()
        if self._own is not None:
            self._own.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Recognizer cannot be copied or pickled. Fix: make one in each process")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._is_closed:
            raise EngineError("this Recognizer is closed. Fix: make a new one, or close it later")

    def _stream(self, source: int | str | Path) -> Iterator[FrameResult]:
        detectors = self._detectors()
        opened = open_source(source)
        try:
            pipeline = LivePipeline(opened, detectors, self._engine, config=self._config.pipeline)
        except BaseException:
            opened.close()
            raise
        yield from pipeline

    def _look(self, picture: Picture, boxes: Boxes | None, name: str) -> _Look:
        """Find the faces of a picture and cut them out. The picture's pixels are not stored."""
        pixels = bgr_from_picture(picture, name=name)
        if boxes is None:
            with self._detector() as detector:
                faces = People(self._people, self.labels).see(pixels, detector.detect(pixels), 0.0)
        else:
            faces = tuple(starmap(TrackedFace, enumerate(detections_from_boxes(boxes, pixels, name=name), start=1)))
        return _Look(faces, *measured_faces(pixels, [face.detection for face in faces], self.spec.input, self._crop))

    def _results(self, looks: Sequence[_Look]) -> list[list[FaceResult]]:
        if not looks:
            return []
        logits = self._logits(np.concatenate([look.images for look in looks]))
        emotions = iter(emotions_from_logits(logits, self.labels, temperature=self.spec.temperature))
        results = []
        for look in looks:
            of_it = list(islice(emotions, len(look.faces)))
            found = People(self._people, self.labels).smooth(look.faces, of_it, 0.0, look.qualities)
            results.append([replace(face, person=face.face.track_id) for face in found])
        return results

    def _logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(images) <= self._batch:
            return self._engine.infer(images)
        batches = (images[start : start + self._batch] for start in range(0, len(images), self._batch))
        return np.concatenate(in_parallel(self._engine.infer, batches))

    def _detectors(self) -> DetectorFactory:
        with self._lock:
            if self._new_detector is None:
                self._new_detector = build_detectors(self._config.detection)
            return self._new_detector

    @contextmanager
    def _detector(self) -> Iterator[Detector]:
        """Yield a detector that no other thread uses."""
        try:
            detector = self._idle_detectors.pop()
        except IndexError:
            detector = self._detectors()()
        try:
            yield detector
        finally:
            self._idle_detectors.append(detector)


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
