"""Run one of the loops that fps.py compares, in a separate process: a tutorial's loop or the live loop.

Prints one JSON line. fps.py has the requests, for example:

    cd benchmarks; python -m live.loops '{"kind": "alone", "frames": 100, "detect_every": 1, "engine": "",
        "yunet": "face_detection_yunet_2026may.onnx", "clip": "clip.gif"}'
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness.clips import looped_frames

from fer_deploy.engines import bundled_model_for, open_engine
from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.threads import available_cores
from fer_deploy.vision.types import Detection

Boxes = list[tuple[int, int, int, int]]
Find = Callable[[np.ndarray], Boxes]
Ask = Callable[[np.ndarray], int]


def haar_on_the_full_frame() -> Find:
    """Return the detection of OpenCV's tutorial for cascades, with its parameters."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def find(frame: np.ndarray) -> Boxes:
        gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        return [tuple(map(int, box)) for box in cascade.detectMultiScale(gray, 1.1, 5, minSize=(30, 30))]

    return find


def yunet_on_the_full_frame(model: str) -> Find:
    """Return the detection of OpenCV's tutorial for cv2.FaceDetectorYN, with its parameters."""
    detector = cv2.FaceDetectorYN.create(model, "", (320, 320), 0.7, 0.3, 5000)

    def find(frame: np.ndarray) -> Boxes:
        detector.setInputSize((frame.shape[1], frame.shape[0]))
        _, faces = detector.detect(frame)
        return [] if faces is None else [tuple(map(int, face[:4])) for face in faces]

    return find


def eager_pytorch(checkpoint: str) -> tuple[Ask, tuple[str, ...]]:
    """Return the classification by eager PyTorch, face by face."""
    from fer_deploy.export.verify.torch_engine import TorchEngine  # noqa: PLC0415 - the other loops run without torch

    return _ask_engine(TorchEngine.open(Path(checkpoint), device="cpu"))


def our_engine(request: dict[str, Any]) -> tuple[Ask, tuple[str, ...]]:
    """Return the classification by our engine with its defaults, face by face."""
    return _ask_engine(open_engine(_model(request["engine"]), device=_device(request)))


def _device(request: dict[str, Any]) -> Device:
    """Return the device of our engine: "cpu" is ONNX Runtime."""
    found: Device = request.get("device", "cpu")
    return found


def _model(path: str) -> Path:
    return Path(path) if path else bundled_model_for("cpu")


def _ask_engine(engine: Engine) -> tuple[Ask, tuple[str, ...]]:
    size = (engine.spec.input.width, engine.spec.input.height)

    def ask(face_gray: np.ndarray) -> int:
        return int(engine.infer(cv2.resize(face_gray, size)[None, None])[0].argmax())

    ask(np.zeros(size, dtype=np.uint8))
    return ask, engine.spec.labels


def run_tutorial(find: Find, ask: Ask, labels: tuple[str, ...], clip: str, num: int) -> dict[str, Any]:
    """Read, detect, classify face by face and draw; write JSONL like the live loop."""
    for frame in looped_frames(clip, 3):  # warm
        find(frame)
    latencies, num_faces = [], 0
    with tempfile.TemporaryFile("w") as out:
        cpu_started, started = time.process_time(), time.perf_counter()
        for index, frame in enumerate(looped_frames(clip, num)):
            captured = time.perf_counter()
            faces = []
            for left, top, w, h in find(frame):
                x, y = max(0, left), max(0, top)
                crop = frame[y : y + h, x : x + w]
                if crop.size == 0:
                    continue
                label = labels[ask(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY))]
                cv2.rectangle(frame, (x, y), (x + w, y + h), (0, 255, 0), 2)
                cv2.putText(frame, label, (x, y - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 0), 2)
                faces.append({"box": [x, y, w, h], "emotion": label})
            out.write(json.dumps({"frame": index, "faces": faces}) + "\n")
            num_faces += len(faces)
            latencies.append(time.perf_counter() - captured)
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    return _summary(num, num_faces, wall, cpu, latencies)


def run_live(request: dict[str, Any]) -> dict[str, Any]:
    """Run the live loop on the looped clip and write JSONL. As a "stage": on frames in memory, without writing."""
    from fer_deploy.detectors import DetectorConfig, build_detectors  # noqa: PLC0415
    from fer_deploy.live.config import PipelineConfig  # noqa: PLC0415
    from fer_deploy.live.pipeline import LivePipeline  # noqa: PLC0415

    num, is_stage = request["frames"], request["kind"] == "stage"
    source = _frames_in_memory(request["clip"], num) if is_stage else _looped_clip(request)
    detection = DetectorConfig(detector="yunet", detector_model=Path(request["yunet"]), **request.get("detection", {}))
    engine = open_engine(_model(request["engine"]), device=_device(request), threads=1)
    config = PipelineConfig(detect_every=request["detect_every"], workers=request.get("workers"))
    waiting: list[Any] = []
    intervals: list[int] = []
    with tempfile.TemporaryDirectory() as folder, engine, ExitStack() as viewers:
        path = Path(folder) / "a.jsonl"
        sinks = [] if is_stage else _sinks(request, path, source, engine, viewers, waiting)
        pipeline = LivePipeline(source, build_detectors(detection), engine, sinks, config=config)
        waiting.append(pipeline)
        cpu_started, started = time.process_time(), time.perf_counter()
        snapshot = pipeline.run(lambda now: intervals.append(now.detect_every))
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        num_lines = sum(1 for _ in path.open()) if sinks else 0
    total = next(row for row in snapshot.latencies if row.stage == "total")
    result = _summary(snapshot.num_frames, snapshot.num_faces, wall, cpu, [])
    stages = {row.stage: {"p50_ms": row.p50_ms, "p95_ms": row.p95_ms, "busy": row.busy} for row in snapshot.latencies}
    return result | {
        "p50_ms": total.p50_ms,
        "p95_ms": total.p95_ms,
        "p99_ms": total.p99_ms,
        "stages": stages,
        "dropped": snapshot.num_dropped,
        "lines": num_lines,
        "k": statistics.median_high(intervals or [snapshot.detect_every]),
        "k_max": max([*intervals, snapshot.detect_every]),
    }


def _sinks(
    request: dict[str, Any], path: Path, source: Any, engine: Engine, viewers: ExitStack, waiting: list[Any]
) -> list[Any]:
    """Return the sinks: JSONL and, on request, a video and the page with one viewer."""
    from live.viewer import one_viewer  # noqa: PLC0415

    from fer_deploy.live.serve import ServeSink  # noqa: PLC0415
    from fer_deploy.live.sinks import JsonlSink, VideoSink  # noqa: PLC0415

    sinks: list[Any] = [JsonlSink(path)]
    if request.get("record"):
        sinks.append(VideoSink(path.with_suffix(".mp4"), source.fps, is_live=source.is_live))
    if request.get("serve"):

        def snapshot() -> Any:
            return waiting[0].snapshot()

        page = ServeSink("127.0.0.1:0", snapshot=snapshot, labels=engine.spec.labels)
        viewers.enter_context(one_viewer(page.url))
        sinks.append(page)
    return sinks


def _looped_clip(request: dict[str, Any]) -> Any:
    from fer_deploy.live.sources import LoopedSource, PacedSource, open_source  # noqa: PLC0415

    source = LoopedSource(lambda: open_source(request["clip"]), num_frames=request["frames"])
    fps = request.get("realtime_fps")
    return PacedSource(source, fps=fps) if fps else source


def _frames_in_memory(clip: str, num: int) -> Any:
    """Return a source without cost, so that the loop consists of its analysis only."""
    from fer_deploy.live.sources.base import Source  # noqa: PLC0415
    from fer_deploy.vision.types import Frame  # noqa: PLC0415

    pictures = list(looped_frames(clip, 400))

    class Memory(Source):
        is_live, fps, num_frames = False, 12.0, num

        def frames(self) -> Iterator[Frame]:
            for index in range(num):
                yield Frame(pictures[index % len(pictures)], index, index / self.fps, time.monotonic_ns())

        def close(self) -> None:
            pass

    return Memory()


def run_analysis_alone(request: dict[str, Any]) -> dict[str, Any]:
    """Detect and classify frames in memory with one thread per core; nothing is read, tracked or written."""
    from fer_deploy.detectors import DetectorConfig, build_detectors  # noqa: PLC0415
    from fer_deploy.vision.preprocess import CropConfig, images_from_faces  # noqa: PLC0415

    detection = DetectorConfig(detector="yunet", detector_model=Path(request["yunet"]), **request.get("detection", {}))
    detectors = build_detectors(detection)
    engine = open_engine(_model(request["engine"]), device=_device(request), threads=1)
    frames = list(looped_frames(request["clip"], 400))
    num, k = request["frames"], request["detect_every"]
    chunks = iter(range(0, num, 4 if k == 1 else k))
    lock, faces_of = threading.Lock(), []
    failures: list[Exception] = []

    def work() -> None:
        try:
            work_on_chunks()
        except Exception as err:  # noqa: BLE001 - raised below, since a loop with a dead thread has a wrong rate
            failures.append(err)

    def work_on_chunks() -> None:
        detector = detectors()
        while True:
            with lock:
                start = next(chunks, None)
            if start is None:
                return
            chunk = [frames[i % len(frames)] for i in range(start, min(num, start + (4 if k == 1 else k)))]
            found: list[list[Detection]] = []
            for i, frame in enumerate(chunk):
                found.append(detector.detect(frame) if i % k == 0 else found[-1])
            images = [
                images_from_faces(f, d, engine.spec.input, CropConfig()) for f, d in zip(chunk, found, strict=True)
            ]
            if len(batch := np.concatenate(images)):
                engine.infer(batch)
            faces_of.append(sum(map(len, found)))

    detectors().detect(frames[0])
    threads = [threading.Thread(target=work) for _ in range(request.get("workers") or available_cores())]
    cpu_started, started = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    if failures:
        raise failures[0]
    return _summary(num, sum(faces_of), wall, cpu, [])


def _summary(num: int, num_faces: int, wall_s: float, cpu_s: float, latencies_s: list[float]) -> dict[str, Any]:
    summary = {"frames": num, "faces": num_faces, "fps": num / wall_s, "cpu_ms_per_frame": 1e3 * cpu_s / num}
    if latencies_s:
        p50, p95, p99 = (1e3 * float(p) for p in np.percentile(latencies_s, (50, 95, 99)))
        summary |= {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99}
    return summary


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run one variant."""
    kind = request["kind"]
    if kind in ("live", "stage"):
        return run_live(request)
    if kind == "alone":
        return run_analysis_alone(request)
    find = haar_on_the_full_frame() if request["detector"] == "haar" else yunet_on_the_full_frame(request["yunet"])
    ask, labels = eager_pytorch(request["checkpoint"]) if kind == "tutorial" else our_engine(request)
    return run_tutorial(find, ask, labels, request["clip"], request["frames"])


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))  # noqa: T201 - the one line that fps.py reads
