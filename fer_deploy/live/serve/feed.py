"""Feed: pass the newest result of each source from the loop to all viewers."""

import asyncio
import threading
from concurrent.futures import Executor

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import FrameResult

MAX_FPS = 15
MAX_WIDTH = 960
"""Pixels; wider frames are scaled down before they are encoded."""
_JPEG_QUALITY = 80


class Feed:
    """Holds one result for each source, and wakes the viewers at most `MAX_FPS` times a second.

    The sink's thread calls `publish`, the event loop everything else. Between two ticks all viewers see the same
    results, so each frame is encoded at most once, and only on request.

    Attributes:
        num_ticks: how often the viewers were woken.
        num_encoded: number of encoded JPEGs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Executor) -> None:
        """Create a feed for viewers in `loop`; JPEGs are encoded in `executor`."""
        self.num_ticks = 0
        self.num_encoded = 0
        self._loop, self._executor = loop, executor
        self._lock = threading.Lock()
        self._newest: dict[int, FrameResult] = {}
        self._is_tick_due = False
        self._num_viewers = 0
        self._shown: dict[int, FrameResult] = {}
        self._tick_s = 0.0
        self._ticked = asyncio.Event()
        self._encodings: dict[int, tuple[FrameResult, asyncio.Future[bytes]]] = {}

    def publish(self, result: FrameResult) -> None:
        """Replace the result of its source. Takes microseconds, and wakes no thread without viewers."""
        with self._lock:
            self._newest[result.frame.source] = result
            wakes = self._num_viewers > 0 and not self._is_tick_due
            self._is_tick_due |= wakes
        if wakes:
            self._loop.call_soon_threadsafe(self._plan_tick)

    def join(self) -> None:
        """Add a viewer; it gets the newest results at once, even of a source that has ended."""
        with self._lock:
            self._num_viewers += 1
            self._shown = dict(self._newest)

    def leave(self) -> None:
        """Remove a viewer; after the last one the encoded JPEGs are freed."""
        with self._lock:
            self._num_viewers -= 1
        if self._num_viewers == 0:
            self._encodings.clear()

    def shown(self, source: int) -> FrameResult | None:
        """Return the result that all viewers see until the next tick."""
        return self._shown.get(source)

    async def wait_tick(self, after: int, timeout_s: float) -> None:
        """Wait until `num_ticks` is above `after`, at most `timeout_s`."""
        if self.num_ticks > after:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._ticked.wait()
        except TimeoutError:
            return

    async def jpeg(self, result: FrameResult) -> bytes:
        """Return the result's frame as JPEG, encoded once for all viewers."""
        source = result.frame.source
        kept = self._encodings.get(source)
        if kept is None or kept[0] is not result:
            kept = result, self._loop.run_in_executor(self._executor, jpeg_from_bgr, result.frame.frame_bgr)
            self._encodings[source] = kept
            self.num_encoded += 1
        return await asyncio.shield(kept[1])  # one viewer's end must not cancel the others' picture

    def _plan_tick(self) -> None:
        self._loop.call_later(max(0.0, self._tick_s + 1 / MAX_FPS - self._loop.time()), self._tick)

    def _tick(self) -> None:
        with self._lock:
            self._is_tick_due = False
            self._shown = dict(self._newest)
        self._tick_s = self._loop.time()
        self.num_ticks += 1
        self._ticked.set()  # wakes all waiting viewers
        self._ticked = asyncio.Event()


def jpeg_from_bgr(frame_bgr: NDArray[np.uint8]) -> bytes:
    """Return an (H, W, 3) frame as JPEG, at most `MAX_WIDTH` wide."""
    height, width = frame_bgr.shape[:2]
    if width > MAX_WIDTH:
        size = MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))
        frame_bgr = cv2.resize(frame_bgr, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, data = cv2.imencode(".jpg", frame_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return data.tobytes()
