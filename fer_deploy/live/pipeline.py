"""LivePipeline: capture and infer threads, sinks in the calling thread, and one way out of every failure."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import pairwise

from fer_deploy.engines.base import Engine
from fer_deploy.errors import EngineError, FerDeployError, SinkError, StreamError
from fer_deploy.live.buffer import PENDING, Buffer, DropPolicy, Signal
from fer_deploy.live.overlay import draw_result
from fer_deploy.live.sinks import Sink
from fer_deploy.live.sources import Source
from fer_deploy.live.stats import LiveStats
from fer_deploy.live.worker import Worker
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.postprocess import emotions_from_logits
from fer_deploy.vision.preprocess import gray_from_bgr, images_from_boxes
from fer_deploy.vision.types import FaceResult, Frame, FrameResult

POLL_S = 0.1
"""How often the main thread looks whether it was asked to stop while no result comes."""
_ERROR_OF_STAGE: dict[str, type[FerDeployError]] = {"capture": StreamError, "infer": EngineError, "sink": SinkError}


class LivePipeline:
    """One run of source -> detector -> engine -> sinks. Make a new one for each run.

    Streams keep only the newest frame and count what they drop; files and folders wait and lose nothing.
    """

    def __init__(self, source: Source, detector: Detector, engine: Engine, sinks: Sequence[Sink],
                 *, max_frames: int | None = None) -> None:  # fmt: skip
        """Take opened parts. The engine stays the caller's to close; source and sinks are closed by `run`."""
        policy = DropPolicy.DROP_OLDEST if source.is_live else DropPolicy.WAIT
        self._source, self._detector, self._engine, self._sinks = source, detector, engine, sinks
        self._max_frames = max_frames
        self._frames: Buffer[Frame] = Buffer(1 if source.is_live else 4, policy)
        self._results: Buffer[FrameResult] = Buffer(4, DropPolicy.WAIT)
        self._stop_requested = False
        self._failure: tuple[str, Exception] | None = None
        self._cut_short = False
        self._failure_lock = threading.Lock()
        self.stats = LiveStats()

    def stop(self) -> None:
        """Ask the loop to end after the frame in hand. Takes no lock: fit for signal handlers and any thread."""
        self._stop_requested = True

    def run(self, on_frame: Callable[[LiveStats], None] | None = None) -> LiveStats:
        """Run until the source ends, `max_frames` are done, a sink asks to end, or `stop`.

        Args:
            on_frame: progress, called in this thread after each frame.

        Raises:
            FerDeployError: the first failure of any stage, with its `stage`; all threads have ended and all
                sinks are finalized by then.
        """
        workers = [
            Worker("capture", self._capture, self._fail),
            Worker("infer", self._infer, self._fail),
        ]
        started: list[Worker] = []
        try:
            for worker in workers:
                worker.start()
                started.append(worker)
            self._feed_sinks(on_frame)
        except Exception as err:  # noqa: BLE001 - the sink stage ends here; re-raised below
            self._fail("sink", err)
        finally:
            self._frames.close()
            self._results.close()
            for worker in started:
                worker.join()
        self.stats.num_dropped = self._frames.num_dropped
        self._raise_failure()
        return self.stats

    def _capture(self) -> None:
        try:
            for frame in self._source.frames():
                if not self._frames.put(frame):
                    return
            self._frames.finish()
        finally:
            self._source.close()

    def _infer(self) -> None:
        while not isinstance(frame := self._frames.get(), Signal):
            if not self._results.put(self._analyze(frame)):
                return
        self._results.finish()

    def _analyze(self, frame: Frame) -> FrameResult:
        marks = [("capture to infer", frame.captured_ns), ("detect", time.monotonic_ns())]
        frame_gray = gray_from_bgr(frame.frame_bgr)
        boxes = self._detector.detect(frame_gray)
        marks.append(("preprocess", time.monotonic_ns()))
        images = images_from_boxes(frame_gray, boxes, self._engine.spec.input)
        marks.append(("infer", time.monotonic_ns()))
        logits = self._engine.infer(images)
        marks.append(("postprocess", time.monotonic_ns()))
        emotions = emotions_from_logits(logits, self._engine.spec.labels)
        faces = tuple(FaceResult(box, emotion) for box, emotion in zip(boxes, emotions, strict=True))
        marks.append(("", time.monotonic_ns()))
        stage_ns = {name: end - start for (name, start), (_, end) in pairwise(marks)}
        return FrameResult(frame, faces, stage_ns)

    def _feed_sinks(self, on_frame: Callable[[LiveStats], None] | None) -> None:
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.enter_context(sink)
            try:
                self._cut_short = not self._write_results(on_frame)
            except Exception as err:  # noqa: BLE001 - kept as the first failure, before a sink's close can hide it
                self._fail("sink", err)

    def _write_results(self, on_frame: Callable[[LiveStats], None] | None) -> bool:
        """Return whether the results came to their end, rather than being cut short by stop, quit or `max_frames`."""
        while not self._stop_requested:
            result = self._results.get(timeout_s=POLL_S)
            if isinstance(result, Signal):
                if result is PENDING:
                    continue
                return True
            go_on = self._write(result)
            if on_frame is not None:
                on_frame(self.stats)
            if not go_on or self.stats.num_frames == self._max_frames:
                return False
        return False

    def _write(self, result: FrameResult) -> bool:
        started_ns = time.monotonic_ns()
        wanted = any(sink.needs_picture for sink in self._sinks)
        picture = draw_result(result, self._engine.spec.labels) if wanted else None
        drawn_ns = time.monotonic_ns()
        go_on = [sink.write(result, picture) for sink in self._sinks]  # a list: every sink gets every frame
        self.stats.add(result, {"draw": drawn_ns - started_ns, "sinks": time.monotonic_ns() - drawn_ns})
        return all(go_on)

    def _fail(self, stage: str, err: Exception) -> None:
        """Keep the first failure; what is behind it in the flow finishes its work, what is before it is told to end."""
        with self._failure_lock:
            if self._failure is None:
                self._failure = (stage, err)
        if stage == "capture":
            self._frames.finish()
            return
        self._frames.close()
        if stage == "infer":
            self._results.finish()
        else:
            self._results.close()

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        stage, err = self._failure
        if self._cut_short and stage != "sink":
            return  # capture and infer read ahead; what they met beyond the last frame wanted is of no consequence
        if isinstance(err, FerDeployError):
            err.stage = stage
            raise err
        wrapped = _ERROR_OF_STAGE[stage](f"the {stage} thread failed: {type(err).__name__}: {err}")
        wrapped.stage = stage
        raise wrapped from err
