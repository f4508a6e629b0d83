"""Run another project's loop over a clip, or its model over faces, in the Python in which that project is installed.

Prints one JSON line. rivals.py has the requests. That Python needs neither click nor PyTorch, so nothing here imports
the other benchmarks.

    PYTHONPATH=benchmarks:. OTHER/bin/python -m others.loop '{"kind": "fer", "clip": "clip.gif", "frames": 100}'
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

Frames = Callable[[str], Iterator[Any]]
KINDS = {
    "fer": "others.fer_package",
    "deepface": "others.deepface_package",
    "uniface": "others.uniface_package",
    "opencv": "others.our_model",
    "openvino": "others.our_model",
    "supervision": "others.our_engine",
    "ultralytics": "others.our_engine",
}
"""Module of each kind; it has `opened(request) -> Loop`, and `probabilities(request)` where it has a model."""


@dataclass(frozen=True)
class Loop:
    """A project's loop.

    Attributes:
        step: detects, classifies and draws on one BGR frame; returns the number of faces.
        note: what a reader must know about this row.
        frames: the project's own reader of a clip; OpenCV's by default.
    """

    step: Callable[[Any], int]
    note: str = ""
    frames: Frames | None = None


def frames_of(clip: str) -> Iterator[Any]:
    """Yield the frames of a clip, (H, W, 3) BGR."""
    capture = cv2.VideoCapture(clip)
    while (read := capture.read())[0]:
        yield read[1]
    capture.release()


def looped(frames: Frames, clip: str, num: int) -> Iterator[Any]:
    """Yield `num` frames, opening the clip again at its end.

    Raises:
        ValueError: it has no frame.
    """
    count = 0
    while count < num:
        before = count
        for frame in frames(clip):
            if count == num:
                return
            yield frame
            count += 1
        if count == before:
            raise ValueError(f"{clip} has no frame")


def timed(loop: Loop, clip: str, num: int) -> dict[str, Any]:
    """Run the loop on `num` frames, after three that do not count, and return speed, latencies and faces."""
    frames = loop.frames or frames_of
    for frame in looped(frames, clip, 3):
        loop.step(frame)
    latencies_s, num_faces = [], 0
    cpu_started, started = time.process_time(), time.perf_counter()
    for frame in looped(frames, clip, num):
        captured = time.perf_counter()
        num_faces += loop.step(frame)
        latencies_s.append(time.perf_counter() - captured)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    p50, p95, p99 = (1e3 * float(value) for value in np.percentile(latencies_s, (50, 95, 99)))
    return {
        "frames": num,
        "faces": num_faces,
        "fps": num / wall,
        "cpu_ms_per_frame": 1e3 * cpu / num,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "note": loop.note,
    }


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a loop; or, where the request has "faces", classify them and save the probabilities."""
    module = importlib.import_module(KINDS[request["kind"]])
    if "faces" not in request:
        return timed(module.opened(request), request["clip"], request["frames"])
    probs = np.asarray(module.probabilities(request, np.load(request["faces"])), dtype=np.float32)
    np.save(request["out"], probs)
    return {"faces": len(probs)}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))  # noqa: T201 - the one line that rivals.py reads
