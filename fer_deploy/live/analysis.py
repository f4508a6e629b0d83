"""Analysis: what a worker does with a chunk of frames. Two turnstiles keep what depends on the past in order.

    detect (any order) | track (in order) | crop, classify (any order) | smooth, hand over (in order)

The detector looks at every k-th frame. In a recording the faces between two such frames are interpolated, for both ends
are known; live they are predicted.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.base import Engine
from fer_deploy.errors import ConfigError
from fer_deploy.live.intake import Chunk
from fer_deploy.live.load import DetectionInterval
from fer_deploy.live.sources import Source
from fer_deploy.live.turnstile import Turnstile
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.people import People
from fer_deploy.vision.postprocess import emotions_from_logits
from fer_deploy.vision.preprocess import CropConfig, images_from_faces
from fer_deploy.vision.types import Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

_log = logging.getLogger(__name__)
Faces = tuple[TrackedFace, ...]
Deliver = Callable[[FrameResult], None]


class StageTimer:
    """Adds up how long a worker was in each stage of a chunk."""

    def __init__(self) -> None:
        self.durations_ns: dict[str, int] = {}
        self._last_ns = time.monotonic_ns()

    def done(self, stage: str) -> None:
        """Count the time since the last call for this stage."""
        now = time.monotonic_ns()
        self.durations_ns[stage] = self.durations_ns.get(stage, 0) + now - self._last_ns
        self._last_ns = now

    def of_one_frame(self, num_frames: int) -> dict[str, int]:
        """Return the durations of one frame of the chunk."""
        return {stage: duration // num_frames for stage, duration in self.durations_ns.items()}


class SourceAnalysis:
    """The analysis of one source's frames: its people, and the order in which they are seen."""

    def __init__(self, people: People, engine: Engine, crop: CropConfig, interval: DetectionInterval,
                 *, source: Source, deliver: Deliver) -> None:  # fmt: skip
        """Take what belongs to this source.

        Args:
            people: tracks and smoothing.
            engine: shared by all sources; one that is not concurrent is used by one worker at a time.
            crop: how faces are cut out.
            interval: how often the detector looks.
            source: for its `first_size`.
            deliver: called with each result, in order, by the worker whose turn it is.
        """
        self._people, self._engine, self._crop, self._interval = people, engine, crop, interval
        self._source, self._deliver = source, deliver
        self._tracking, self._handover = Turnstile(), Turnstile()
        self._last_seen: tuple[float, Faces] | None = None
        self._num_dropped = 0

    def run(self, chunk: Chunk, detector: Detector, engine_turn: AbstractContextManager[Any], num_dropped: int) -> None:
        """Analyze a chunk and deliver its results.

        Args:
            chunk: of this source.
            detector: the worker's own.
            engine_turn: entered while the engine works: a lock, unless the engine is concurrent.
            num_dropped: frames of this source that the intake dropped until the chunk was taken.

        Raises:
            Aborted: an earlier chunk failed; later ones get the same after a failure here.
        """
        try:
            self._run(chunk, detector, engine_turn, num_dropped)
        except BaseException:
            self._tracking.fail(chunk.ticket)
            self._handover.fail(chunk.ticket)
            raise

    def _run(
        self, chunk: Chunk, detector: Detector, engine_turn: AbstractContextManager[Any], num_dropped: int
    ) -> None:
        frames = chunk.frames
        taken_ns = time.monotonic_ns()
        timer = StageTimer()
        is_looked_at = self._frames_to_look_at(chunk)
        found = [
            self._find(frame, detector) if look else None for frame, look in zip(frames, is_looked_at, strict=True)
        ]
        timer.done("detect")
        with self._tracking.turn(chunk.ticket):
            timer.done("wait")
            faces = self._predict(frames, found) if chunk.is_live else self._interpolate(frames, found)
            self._note_arrival(frames, num_dropped + self._source.health.num_overtaken)
            timer.done("track")
        images = self._cut_out(frames, faces)
        timer.done("crop")
        with engine_turn:
            timer.done("wait")  # for other workers' turns: no work of this source's
            logits = self._engine.infer(images)
        timer.done("infer")
        spec = self._engine.spec
        emotions = emotions_from_logits(logits, spec.labels, temperature=spec.temperature)
        with self._handover.turn(chunk.ticket):
            timer.done("wait")
            results = self._smooth(frames, faces, emotions)
            timer.done("smooth")
            self._note_work(timer, sum(is_looked_at), len(frames))
            self._hand_over(frames, results, timer.of_one_frame(len(frames)), taken_ns)

    def _find(self, frame: Frame, detector: Detector) -> list[Detection]:
        if not frame.is_photo:
            return detector.detect(frame.frame_bgr, self._source.first_size)
        try:
            return detector.detect(frame.frame_bgr, None)
        except ConfigError as err:  # a region that is outside of this picture, not of the others
            _log.warning("%s: %s", frame.name, err)
            return []

    def _frames_to_look_at(self, chunk: Chunk) -> list[bool]:
        """In a recording each k-th, counted from the chunk's end, so that both sides of what lies between are known.

        Live, each k-th of those that are analyzed. Photos are all looked at: nothing lies between them.
        """
        return [look or frame.is_photo for look, frame in zip(self._every_kth(chunk), chunk.frames, strict=True)]

    def _every_kth(self, chunk: Chunk) -> list[bool]:
        k, num = self._interval.frames, len(chunk.frames)
        if chunk.is_live:
            return [(chunk.num_before + i) % k == 0 for i in range(num)]
        return [(num - 1 - i) % k == 0 or chunk.num_before + i == 0 for i in range(num)]

    def _predict(self, frames: Sequence[Frame], found: Sequence[list[Detection] | None]) -> list[Faces]:
        return [
            self._people.follow(frame.frame_bgr, frame.time_s) if detections is None else self._see(frame, detections)
            for frame, detections in zip(frames, found, strict=True)
        ]

    def _interpolate(self, frames: Sequence[Frame], found: Sequence[list[Detection] | None]) -> list[Faces]:
        tracked: list[Faces] = []
        for frame, detections in zip(frames, found, strict=True):
            if detections is None:
                continue
            before, now = self._last_seen, (frame.time_s, self._see(frame, detections))
            while len(tracked) < len(frames) and found[len(tracked)] is None:
                tracked.append(self._between(before, now, frames[len(tracked)].time_s))
            tracked.append(now[1])
            self._last_seen = now
        return tracked

    def _see(self, frame: Frame, detections: list[Detection]) -> Faces:
        if frame.is_photo:
            self._people.forget()
        return self._people.see(frame.frame_bgr, detections, frame.time_s)

    def _between(self, before: tuple[float, Faces] | None, after: tuple[float, Faces], time_s: float) -> Faces:
        start_s, faces = before if before is not None else after
        fraction = (time_s - start_s) / (after[0] - start_s) if after[0] > start_s else 0.0
        return self._people.between(faces, after[1], min(1.0, max(0.0, fraction)))

    def _cut_out(self, frames: Sequence[Frame], faces: Sequence[Faces]) -> NDArray[np.uint8]:
        spec = self._engine.spec.input
        crops = [
            images_from_faces(frame.frame_bgr, [face.detection for face in seen], spec, self._crop)
            for frame, seen in zip(frames, faces, strict=True)
        ]
        return crops[0] if len(crops) == 1 else np.concatenate(crops)

    def _smooth(self, frames: Sequence[Frame], faces: Sequence[Faces], emotions: list[Emotion]
                ) -> list[tuple[FaceResult, ...]]:  # fmt: skip
        results, start = [], 0
        for frame, seen in zip(frames, faces, strict=True):
            results.append(self._people.smooth(seen, emotions[start : start + len(seen)], frame.time_s))
            start += len(seen)
        return results

    def _hand_over(self, frames: Sequence[Frame], results: Sequence[tuple[FaceResult, ...]],
                   stage_ns: dict[str, int], taken_ns: int) -> None:  # fmt: skip
        for frame, seen in zip(frames, results, strict=True):
            queued = {"queue": max(0, taken_ns - frame.captured_ns)}
            self._deliver(FrameResult(frame, seen, queued | stage_ns))

    def _note_arrival(self, frames: Sequence[Frame], num_dropped: int) -> None:
        self._interval.note_arrival(frames[-1].captured_ns / 1e9, max(0, num_dropped - self._num_dropped))
        self._num_dropped = max(num_dropped, self._num_dropped)

    def _note_work(self, timer: StageTimer, num_looked_at: int, num: int) -> None:
        spent = timer.durations_ns
        rest_ns = sum(spent[stage] for stage in ("track", "crop", "infer", "smooth"))
        detect_s = spent["detect"] / num_looked_at / 1e9 if num_looked_at else None
        self._interval.note_work(detect_s=detect_s, rest_s=rest_ns / num / 1e9)
