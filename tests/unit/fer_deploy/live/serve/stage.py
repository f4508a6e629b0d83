"""A loop's results without a loop: drawn pictures, and people whose feelings are made up."""

import math
import threading
import time
from contextlib import contextmanager
from itertools import count

import numpy as np

from fer_deploy.live.serve import ServeSink
from fer_deploy.live.sources import SyntheticSource
from fer_deploy.live.sources.base import SourceHealth
from fer_deploy.live.sources.synthetic import drawn_faces
from fer_deploy.live.stats import Latency, LiveSnapshot, SinkSnapshot, SourceSnapshot
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def make_snapshot(*, state="running", is_live=True, failure="", names=("door",)) -> LiveSnapshot:
    """The state of a loop that has been through something; one number for each thing that can be counted."""
    health = SourceHealth(
        state,
        num_captured=1000,
        num_corrupt=2,
        num_reconnects=3,
        num_stalls=4,
        num_frozen=5,
        num_size_changes=6,
        num_missing=9,
        last_error="read timed out",
    )
    latencies = (Latency("detect", 2.0, 3.0, 3.5, 4.0, 0.06), Latency("total", 8.0, 9.0, 9.5, 12.0, 0.25))
    sources = tuple(SourceSnapshot(name, is_live, 7, health, may_end=not is_live) for name in names)
    sinks = (SinkSnapshot("jsonl", 900, 8, failure), SinkSnapshot("serve", 990, 0, ""))
    made_with = {"engine": "ONNX Runtime, int8", "detector": "YuNet (a.onnx)"}
    return LiveSnapshot(991, 1500, 33.5, 29.9, latencies, sources, sinks, detect_every=2, made_with=made_with)


def probs_at(index: int, person: int) -> dict[str, float]:
    """Feelings that come and go like waves; 1 in sum."""
    t = index / 30 + 5 * person
    powers = [math.exp(2.6 * math.sin(t * (0.35 + 0.06 * k) + 2.2 * k)) for k in range(len(LABELS))]
    return {label: power / sum(powers) for label, power in zip(LABELS, powers, strict=True)}


def make_face(index: int, person: int, box: tuple[int, int, int, int]) -> FaceResult:
    """Person 0 has track number 1."""
    probs = probs_at(index, person)
    label = max(probs, key=probs.__getitem__)
    emotion = Emotion(label, probs[label], Probabilities.from_dict(probs))
    tracked, number = TrackedFace(person + 1, Detection(Box(*box))), person + 1
    return FaceResult(tracked, emotion, emotion, is_sure=probs[label] > 0.3, person=number)


def make_result(index=0, *, num_people=1, source=0, size=(64, 48), label=None) -> FrameResult:
    """One small gray frame; with a `label` everyone feels just that."""
    frame = Frame(np.full((size[1], size[0], 3), 90, np.uint8), index, index / 30, time.monotonic_ns(), source=source)
    faces = [make_face(index, person, (2 + person, 3, 22 + person, 33)) for person in range(num_people)]
    if label is not None:
        only = Emotion(label, 1.0, Probabilities.from_dict({name: float(name == label) for name in LABELS}))
        faces = [FaceResult(face.face, only, only, person=face.person) for face in faces]
    return FrameResult(frame, tuple(faces))


def drawn_results(source=0):
    """Yield the synthetic source's frames with its two people, whose places are known from how it draws them."""
    for frame in SyntheticSource().frames():
        faces = []
        for person, (x, y, size, *_) in enumerate(drawn_faces(frame.index)):
            box = (round(x - size), round(y - 0.9 * size), round(x + size), round(y + 1.2 * size))
            faces.append(make_face(frame.index, person, box))
        moved = Frame(frame.frame_bgr, frame.index, frame.time_s, frame.captured_ns, source=source)
        yield FrameResult(moved, tuple(faces))


class Actor:
    """Writes results into a sink from a thread of its own, thirty a second, until it is stopped."""

    def __init__(self, sink: ServeSink, results) -> None:
        self._sink, self._results = sink, results
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def _play(self) -> None:
        for result in self._results:
            self._sink.write(result, None)
            if self._stopped.wait(1 / 30):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopped.set()
        self._thread.join()


@contextmanager
def serving(address="127.0.0.1:0", *, token=None, snapshot=make_snapshot, labels=LABELS, events=None):
    """Yield a sink, and close it."""
    sink = ServeSink(address, token=token, snapshot=snapshot, labels=labels, events=events)
    try:
        yield sink
    finally:
        sink.close()


def endless(num_people=1, source=0):
    """Yield small results without end."""
    for index in count():
        yield make_result(index, num_people=num_people, source=source)
