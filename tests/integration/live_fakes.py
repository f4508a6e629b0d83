"""Parts of the live loop that fail, block and count on demand."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.intake import CHUNK_FRAMES
from fer_deploy.live.outlet import RECORDING_CAPACITY
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.sources import Source
from fer_deploy.live.stats import LiveSnapshot
from fer_deploy.vision.types import Box, Detection, Frame, FrameResult

GUARD_S = 10
"""A loop that has not ended by then hangs."""
NUM_WORKERS = 2
IN_FLIGHT = 1 + 2 * CHUNK_FRAMES + NUM_WORKERS * CHUNK_FRAMES + RECORDING_CAPACITY + 1
"""Most frames between source and sinks: capture's hand, intake, the workers' hands, outlet, the sink's hand."""


def make_frame(index: int) -> Frame:
    picture = np.full((80, 100, 3), 40 + index % 100, dtype=np.uint8)
    return Frame(picture, index, index / 10, time.monotonic_ns())


class ScriptedSource(Source):
    """`num` frames (None: endless), then `error` if there is one; `before(index)` runs ahead of each frame."""

    fps = 10.0

    def __init__(
        self,
        num: int | None,
        *,
        error: Exception | None = None,
        is_live: bool = False,
        before: Callable[[int], object] = lambda index: None,
        close_error: Exception | None = None,
    ) -> None:
        super().__init__()
        self.name = "scripted"
        self._num, self._error, self.is_live, self._before = num, error, is_live, before
        self._close_error = close_error
        self.num_yielded = 0
        self.num_closed = 0

    def frames(self) -> Iterator[Frame]:
        while self._num is None or self.num_yielded < self._num:
            if self._stopped.is_set():
                return
            self._before(self.num_yielded)
            self.num_yielded += 1
            yield make_frame(self.num_yielded - 1)
        self._before(self.num_yielded)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.num_closed += 1
        if self._close_error is not None:
            raise self._close_error


class SizedSource(ScriptedSource):
    """A recording of frames of these widths and heights, of pictures with these names."""

    def __init__(self, sizes: Sequence[tuple[int, int]], *, names: Sequence[str] = ()) -> None:
        super().__init__(len(sizes))
        self._sizes, self._names = sizes, names

    def frames(self) -> Iterator[Frame]:
        for frame in super().frames():
            width, height = self._sizes[frame.index]
            name = self._names[frame.index] if self._names else ""
            yield replace(frame, frame_bgr=cv2.resize(frame.frame_bgr, (width, height)), name=name)


class OneFaceDetector:
    """Finds the same box in every frame, all workers' frames counted together; raises at the n-th."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self._fail_at, self.num_looks, self._lock = fail_at, 0, threading.Lock()

    def __call__(self) -> "OneFaceDetector":
        """Return what a worker gets: the one detector, for all of them."""
        return self

    def detect(self, frame_bgr: np.ndarray, scene_size: object = None) -> list[Detection]:
        with self._lock:
            self.num_looks += 1
            if self.num_looks - 1 == self._fail_at:
                raise RuntimeError("the cascade is broken")
        return [Detection(Box(10, 5, 70, 65))]


class CountingSink(Sink):
    """Remembers frame numbers. Raises or asks to end at its n-th frame, or raises when it is closed."""

    def __init__(
        self,
        *,
        fail_at: int | None = None,
        stop_at: int | None = None,
        close_error: Exception | None = None,
        after: Callable[[int], object] = lambda index: None,
    ) -> None:
        self._fail_at, self._stop_at, self._close_error, self._after = fail_at, stop_at, close_error, after
        self.indices: list[int] = []
        self.num_closed = 0

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        assert self.num_closed == 0
        if len(self.indices) == self._fail_at:
            raise OSError(5, "Input/output error")
        self.indices.append(result.frame.index)
        self._after(result.frame.index)
        return len(self.indices) - 1 != self._stop_at

    def close(self) -> None:
        self.num_closed += 1
        if self._close_error is not None:
            raise self._close_error


def make_pipeline(source, sinks=(), *, detector=None, engine=None, **settings) -> LivePipeline:
    """A loop of fakes with two workers, smoothing off so that results are the engine's."""
    config = PipelineConfig(workers=NUM_WORKERS, **settings)
    return LivePipeline(source, detector or OneFaceDetector(), engine or FakeEngine(), sinks, config=config)


def run_guarded(pipeline: LivePipeline, on_progress=None) -> LiveSnapshot:
    """Run the loop; fail if it hangs or leaves a thread, raise what it raises."""
    outcome: list[LiveSnapshot | Exception] = []

    def body() -> None:
        try:
            outcome.append(pipeline.run(on_progress))
        except Exception as err:  # noqa: BLE001 - handed to the test below
            outcome.append(err)

    thread = threading.Thread(target=body, name="test-run", daemon=True)
    thread.start()
    thread.join(GUARD_S)
    pipeline.stop()  # a loop that missed its end shall not spoil the tests behind it
    assert outcome, "the loop did not end"
    assert live_threads() == []
    (got,) = outcome
    if isinstance(got, Exception):
        raise got
    return got


def live_threads() -> list[str]:
    """Names of the loop's threads that are still alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fer-")]


class BlockingEngine(FakeEngine):
    """Waits in its first call until `release` is set."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__()
        self.entered, self._release = threading.Event(), release

    def _run(self, images_nchw):
        self.entered.set()
        assert self._release.wait(GUARD_S)
        return super()._run(images_nchw)


def num_video_frames(path: Path) -> int:
    """Decode the whole file."""
    capture = cv2.VideoCapture(str(path))
    num = 0
    while capture.read()[0]:
        num += 1
    capture.release()
    return num
