"""Analyze chunks of frames. Turnstiles run the stages that depend on earlier frames in order.

    choose (in order) | detect (any order) | track (in order) | crop, classify (any order) | smooth, deliver (in order)

The detector searches every k-th frame. Between two such frames, faces of a recording are interpolated, since both ends
are known; faces of a live source are predicted.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.base import Engine
from fer_deploy.errors import ConfigError
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.drawing.anonymize import anonymized
from fer_deploy.live.intake import Chunk
from fer_deploy.live.load import DetectionInterval
from fer_deploy.live.sources import Source
from fer_deploy.live.stage_times import StageTimes
from fer_deploy.live.threads.turnstile import Aborted, Turnstile
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.postprocess import emotions_from_logits
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.quality_measures import measured_faces
from fer_deploy.vision.tracking.people import People
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

_log = logging.getLogger(__name__)
Faces = tuple[TrackedFace, ...]
Qualities = list[FaceQuality]
Deliver = Callable[[FrameResult], None]
MOST_AT_ONCE = 64
"""Faces in one call of the engine; between two calls a worker checks whether its chunk was given up."""


class Seen(NamedTuple):
    """The faces of a frame, and the places of faces that it may hold, too; see `FrameResult.hidden`."""

    faces: Faces
    hidden: tuple[Box, ...] = ()


class SourceAnalysis:
    """Analyzes the frames of one source and holds the state of its people."""

    def __init__(
        self,
        people: People,
        engine: Engine,
        config: PipelineConfig,
        interval: DetectionInterval,
        *,
        source: Source,
        deliver: Deliver,
    ) -> None:
        """Create the analysis of one source.

        Args:
            people: tracks and smoothing.
            engine: shared by all sources; unless it is concurrent, one worker at a time uses it.
            config: how faces are cut out, and whether they are covered in the delivered frames.
            interval: how often the detector runs.
            source: for its `first_size`.
            deliver: called with each result, in order, by the worker whose turn it is.
        """
        self._people, self._engine, self._interval = people, engine, interval
        self._source, self._deliver = source, deliver
        self._choosing, self._tracking, self._handover = Turnstile(), Turnstile(), Turnstile()
        self._num_since_look: int | None = None
        self._last_seen: tuple[float, Seen] | None = None
        self._crop, self._anonymize = config.crop, config.anonymize
        self._num_dropped = 0
        self._is_given_up = False

    def set_config(self, config: PipelineConfig) -> None:
        """Use other settings from the next frames on; the people stay. Callable from any thread."""
        self._people.set_config(config.people.for_model(self._engine.spec))
        self._interval.set_wanted(config.detect_every)
        self._crop, self._anonymize = config.crop, config.anonymize

    def give_up(self) -> None:
        """Abort the chunks that workers are analyzing, at their next check. Callable from any thread."""
        self._is_given_up = True

    def run(self, chunk: Chunk, detector: Detector, engine_turn: AbstractContextManager[Any], num_dropped: int) -> None:
        """Analyze a chunk and deliver its results.

        Args:
            chunk: of this source.
            detector: used by this worker only.
            engine_turn: context of each engine call: a lock, unless the engine is concurrent.
            num_dropped: frames of this source that the intake dropped until the chunk was popped.

        Raises:
            Aborted: the chunk was given up, or an earlier chunk failed. After a failure here, later chunks raise it.
        """
        try:
            self._run(chunk, detector, engine_turn, num_dropped)
        except BaseException:
            for turnstile in (self._choosing, self._tracking, self._handover):
                turnstile.fail(chunk.ticket)
            raise

    def _run(
        self, chunk: Chunk, detector: Detector, engine_turn: AbstractContextManager[Any], num_dropped: int
    ) -> None:
        frames = chunk.frames
        taken_ns = time.monotonic_ns()
        with self._choosing.turn(chunk.ticket):
            is_looked_at = self._frames_to_look_at(chunk)
        times = StageTimes(len(frames))
        found = [self._find(frames, i, detector, times) if look else None for i, look in enumerate(is_looked_at)]
        with self._tracking.turn(chunk.ticket):
            times.waited()
            seen = (self._predict if chunk.is_live else self._interpolate)(frames, found, times)
            faces = [one.faces for one in seen]
            self._note_arrival(frames, num_dropped + self._source.health.num_overtaken)
        images, qualities = self._cut_out(frames, faces, times)
        logits = self._classify(images, [len(some) for some in faces], engine_turn, times)
        spec = self._engine.spec
        emotions = emotions_from_logits(logits, spec.labels, temperature=spec.temperature)
        with self._handover.turn(chunk.ticket):
            times.waited()
            results = self._smooth(frames, faces, emotions, qualities, times)
            self._note_work(times, sum(is_looked_at), len(frames))
            for frame, shown, one, stage_ns in zip(frames, results, seen, times.of_frames, strict=True):
                queued = {"queue": max(0, taken_ns - frame.captured_ns)}
                result = FrameResult(frame, shown, queued | stage_ns, one.hidden)
                self._deliver(anonymized(result, self._anonymize))

    def _check(self) -> None:
        if self._is_given_up:
            raise Aborted

    def _find(self, frames: Sequence[Frame], index: int, detector: Detector, times: StageTimes) -> list[Detection]:
        self._check()
        frame = frames[index]
        try:
            return detector.detect(frame.frame_bgr, None if frame.is_photo else self._source.first_size)
        except ConfigError as err:  # a region outside this picture; it may lie inside the others
            if not frame.is_photo:
                raise
            _log.warning("%s: %s", frame.name, err)
            return []
        finally:
            times.worked("detect", index)

    def _frames_to_look_at(self, chunk: Chunk) -> list[bool]:
        """Return for each frame whether the detector searches it. Called in the order of the chunks.

        All single pictures are searched. In a recording every k-th frame is, counted from the chunk's end, so that the
        frames between have known faces on both sides. Live, every k-th analyzed frame is, counted from the last
        search. The first frame of a new size is always searched: faces are not followed from one size to another.
        """
        k, num = self._interval.frames, len(chunk.frames)
        if not chunk.is_live:
            is_first = chunk.num_before == 0 or chunk.is_resized
            looks = [(num - 1 - i) % k == 0 or (i == 0 and is_first) for i in range(num)]
        else:
            looks = [self._is_due(k, is_resized=i == 0 and chunk.is_resized) for i in range(num)]
        return [look or frame.is_photo for look, frame in zip(looks, chunk.frames, strict=True)]

    def _is_due(self, k: int, *, is_resized: bool) -> bool:
        """Count a live frame and return whether the detector searches it; k may change from frame to frame."""
        since = self._num_since_look
        is_due = is_resized or since is None or since + 1 >= k
        self._num_since_look = 0 if is_due else (since or 0) + 1
        return is_due

    def _predict(
        self, frames: Sequence[Frame], found: Sequence[list[Detection] | None], times: StageTimes
    ) -> list[Seen]:
        tracked: list[Seen] = []
        for i, (frame, detections) in enumerate(zip(frames, found, strict=True)):
            if detections is None:
                tracked.append(Seen(self._people.follow(frame.frame_bgr, frame.time_s), self._people.hidden()))
            else:
                tracked.append(self._see(frame, detections))
            times.worked("track", i)
        return tracked

    def _interpolate(
        self, frames: Sequence[Frame], found: Sequence[list[Detection] | None], times: StageTimes
    ) -> list[Seen]:
        tracked: list[Seen] = []
        for i, (frame, detections) in enumerate(zip(frames, found, strict=True)):
            if detections is None:
                continue
            before, now = self._last_seen, (frame.time_s, self._see(frame, detections))
            times.worked("track", i)
            for between in range(len(tracked), i):
                tracked.append(self._between(before, now, frames[between].time_s))
                times.worked("track", between)
            tracked.append(now[1])
            self._last_seen = now
        return tracked

    def _see(self, frame: Frame, detections: list[Detection]) -> Seen:
        if frame.is_photo:
            self._people.forget()
        return Seen(self._people.see(frame.frame_bgr, detections, frame.time_s), self._people.hidden())

    def _between(self, before: tuple[float, Seen] | None, after: tuple[float, Seen], time_s: float) -> Seen:
        (start_s, first), (end_s, last) = before if before is not None else after, after
        fraction = (time_s - start_s) / (end_s - start_s) if end_s > start_s else 0.0
        faces = self._people.between(first.faces, last.faces, min(1.0, max(0.0, fraction)))
        shown = {face.track_id for face in faces}
        left_out = (face.detection.box for face in (*first.faces, *last.faces) if face.track_id not in shown)
        return Seen(faces, tuple(dict.fromkeys((*first.hidden, *last.hidden, *left_out))))

    def _cut_out(
        self, frames: Sequence[Frame], faces: Sequence[Faces], times: StageTimes
    ) -> tuple[NDArray[np.uint8], list[Qualities]]:
        """Return the images of all faces, and the qualities of each frame's faces."""
        spec, crops, qualities = self._engine.spec.input, [], []
        for i, (frame, seen) in enumerate(zip(frames, faces, strict=True)):
            detections = [face.detection for face in seen]
            images, measured = measured_faces(frame.frame_bgr, detections, spec, self._crop)
            crops.append(images)
            qualities.append(measured)
            times.worked("crop", i)
        return (crops[0] if len(crops) == 1 else np.concatenate(crops)), qualities

    def _classify(
        self,
        images: NDArray[np.uint8],
        num_faces: Sequence[int],
        engine_turn: AbstractContextManager[Any],
        times: StageTimes,
    ) -> NDArray[np.float32]:
        """Return the logits of all faces; frames share the engine's time by their faces."""
        logits = []
        for start in range(0, max(1, len(images)), MOST_AT_ONCE):
            self._check()
            with engine_turn:
                times.waited()  # for other workers' turns
                logits.append(self._engine.infer(images[start : start + MOST_AT_ONCE]))
            times.worked_on_all("infer", num_faces)
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    def _smooth(
        self,
        frames: Sequence[Frame],
        faces: Sequence[Faces],
        emotions: list[Emotion],
        qualities: Sequence[Qualities],
        times: StageTimes,
    ) -> list[tuple[FaceResult, ...]]:
        results, start = [], 0
        for i, (frame, seen) in enumerate(zip(frames, faces, strict=True)):
            of_it = emotions[start : start + len(seen)]
            results.append(self._people.smooth(seen, of_it, frame.time_s, qualities[i]))
            start += len(seen)
            times.worked("smooth", i)
        return results

    def _note_arrival(self, frames: Sequence[Frame], num_dropped: int) -> None:
        self._interval.note_arrival(frames[-1].captured_ns / 1e9, max(0, num_dropped - self._num_dropped))
        self._num_dropped = max(num_dropped, self._num_dropped)

    def _note_work(self, times: StageTimes, num_looked_at: int, num: int) -> None:
        spent = times.worked_ns
        rest_ns = sum(spent[stage] for stage in ("track", "crop", "infer", "smooth"))
        detect_s = spent["detect"] / num_looked_at / 1e9 if num_looked_at else None
        self._interval.note_work(detect_s=detect_s, rest_s=rest_ns / num / 1e9)
