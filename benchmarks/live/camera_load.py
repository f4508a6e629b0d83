"""Run the live loop under the frames of several cameras, which arrive by the clock, in a separate process.

Prints one JSON line. cameras.py has the requests, for example:

    cd benchmarks; python -m live.camera_load '{"kind": "cameras", "cameras": 2, "fps": 15, "seconds": 2,
        "warm_up_s": 1, "detect_every": "auto", "jpeg": true, "engine": "a.onnx",
        "yunet": "face_detection_yunet_2026may.onnx", "clip": "clip.gif"}'
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness.clips import looped_frames
from numpy.typing import NDArray

from fer_deploy.bench.statistics import percentile
from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.engines.threads import available_cores
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import Picture, Sink
from fer_deploy.live.sources.base import Source
from fer_deploy.vision.detector import Detector
from fer_deploy.vision.types import Frame, FrameResult

Picture8 = NDArray[np.uint8]
_MOST_PICTURES = 200
_JPEG_QUALITY = 90


class Start:
    """The moment at which all cameras begin: when the loop reads the first of them."""

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """Take the clock, in nanoseconds."""
        self._now_ns, self._lock = now_ns, threading.Lock()
        self._begun_ns: int | None = None

    def ns(self) -> int:
        """Return the moment; the first call sets it."""
        with self._lock:
            if self._begun_ns is None:
                self._begun_ns = self._now_ns()
            return self._begun_ns


class ClipCamera(Source):
    """A camera that shows a clip: frame i arrives at its time, whether or not the loop is ready.

    A frame that is still unread when the next one arrives is lost, as in a camera's driver. `captured_ns` is the time
    of arrival, so that a late read counts as latency.
    """

    is_live = True

    def __init__(
        self,
        pictures: Sequence[Picture8],
        *,
        fps: float,
        num_frames: int,
        start: Start,
        offset_s: float = 0.0,
        now_ns: Callable[[], int] = time.monotonic_ns,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """Create a camera.

        Args:
            pictures: (H, W, 3) BGR, or (N,) JPEG files, which are decoded when they are read.
            fps: frames per second.
            num_frames: after these it ends.
            start: shared by all cameras.
            offset_s: of its first frame; real cameras do not expose at the same moment.
            now_ns: clock of the loop.
            wait: waits for an event at most this many seconds.
        """
        super().__init__()
        self._pictures, self._start, self._offset_s = pictures, start, offset_s
        self.fps, self.num_frames, self.name = fps, num_frames, "camera"
        self._now_ns, self._wait = now_ns, wait
        self.decode_s = 0.0

    @property
    def may_end(self) -> bool:
        """Its end is the end of the measurement."""
        return True

    def due_ns(self, index: int) -> int:
        """Return when a frame arrives."""
        return self._start.ns() + int(1e9 * (self._offset_s + index / self.fps))

    def frames(self) -> Iterator[Frame]:
        """Yield each frame when it has arrived, or the newest one if several have."""
        index = 0
        assert self.num_frames is not None
        while index < self.num_frames:
            wait_s = (self.due_ns(index) - self._now_ns()) / 1e9
            if wait_s > 0:
                self._wait(self._stopped, wait_s)
            if self._stopped.is_set():
                return
            while index + 1 < self.num_frames and self.due_ns(index + 1) <= self._now_ns():
                index += 1
                self.health.num_overtaken += 1
            yield Frame(self._picture(index), index, index / self.fps, self.due_ns(index))
            index += 1

    def _picture(self, index: int) -> Picture8:
        picture = self._pictures[index % len(self._pictures)]
        if picture.ndim == 3:
            return picture
        started = time.perf_counter()
        decoded = cv2.imdecode(picture, cv2.IMREAD_COLOR)
        self.decode_s += time.perf_counter() - started
        return np.asarray(decoded, dtype=np.uint8)


class Meter(Sink):
    """Output that notes when each result arrives; a result that it never gets counts as dropped."""

    name, needs_pixels = "meter", False

    def __init__(self, num_cameras: int) -> None:
        self.latencies_ms: list[dict[int, float]] = [{} for _ in range(num_cameras)]
        self.num_faces = 0

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Note the time since the frame's arrival, by camera and frame."""
        frame = result.frame
        self.latencies_ms[frame.source][frame.index] = (time.monotonic_ns() - frame.captured_ns) / 1e6
        self.num_faces += len(result.faces)
        return True


def judged(latencies_ms: Sequence[dict[int, float]], *, first: int, num_frames: int) -> dict[str, Any]:
    """Return latency, losses and shares of the frames after the warm-up.

    Args:
        latencies_ms: by camera, then by number of the frame.
        first: number of the first frame that counts.
        num_frames: of each camera, including the warm-up.
    """
    counted = [[ms for index, ms in sorted(one.items()) if index >= first] for one in latencies_ms]
    served, every = [len(one) for one in counted], [ms for one in counted for ms in one]
    due = (num_frames - first) * len(latencies_ms)
    return {
        "due": due,
        "dropped": due - sum(served),
        "served": served,
        "fair_share": min(served) / max(served) if any(served) else 0.0,
        **{f"p{p}_ms": percentile(every, p) if every else None for p in (50, 90, 99)},
        "max_ms": max(every, default=None),
    }


def pictures_of(clip: str, *, jpeg: bool) -> list[Picture8]:
    """Return frames of a clip at its own size: decoded, or as JPEG files as a network camera sends them."""
    frames = list(looped_frames(clip, _MOST_PICTURES))
    if not jpeg:
        return frames
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return [np.asarray(cv2.imencode(".jpg", frame, quality)[1], dtype=np.uint8).ravel() for frame in frames]


def run_cameras(
    request: dict[str, Any], pictures: Sequence[Picture8], detectors: Callable[[], Detector], engine: Engine
) -> dict[str, Any]:
    """Run the live loop on `request["cameras"]` cameras and return what it served, how late, and which stage was busy.

    Args:
        request: "cameras", "fps", "seconds", "warm_up_s", "detect_every"; see the module.
        pictures: what every camera shows, each from another frame on.
        detectors: as for `LivePipeline`.
        engine: as for `LivePipeline`; not closed.
    """
    num, fps = request["cameras"], float(request["fps"])
    first = round(request["warm_up_s"] * fps)
    num_frames = first + max(1, round(request["seconds"] * fps))
    start = Start()
    cameras = [
        ClipCamera(
            [*pictures[(turn := i * len(pictures) // num) :], *pictures[:turn]],
            fps=fps,
            num_frames=num_frames,
            start=start,
            offset_s=i / (num * fps),
        )
        for i in range(num)
    ]
    meter, config = Meter(num), PipelineConfig(detect_every=request["detect_every"])
    intervals: list[int] = []
    pipeline = LivePipeline(cameras, detectors, engine, [meter], config=config)
    cpu_started, started = time.process_time(), time.perf_counter()
    snapshot = pipeline.run(lambda now: intervals.append(now.detect_every))
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    busy = {row.stage: row.busy for row in snapshot.latencies if row.stage not in ("queue", "wait", "total")}
    return {
        "cameras": num,
        "fps": fps,
        **judged(meter.latencies_ms, first=first, num_frames=num_frames),
        "faces_per_frame": meter.num_faces / max(1, snapshot.num_frames),
        "of_cores": cpu / wall / available_cores(),
        "busy": {"decode": sum(camera.decode_s for camera in cameras) / wall, **busy},
        "k_max": max([*intervals, snapshot.detect_every]),
    }


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Open everything, run once."""
    detection = DetectorConfig(detector="yunet", detector_model=Path(request["yunet"]))
    with open_engine(Path(request["engine"]), device="cpu", threads=1) as engine:
        pictures = pictures_of(request["clip"], jpeg=request["jpeg"])
        return run_cameras(request, pictures, build_detectors(detection), engine)


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))  # noqa: T201 - the one line that cameras.py reads
