"""What a worker does with a chunk, on a clock that stands still but where a test moves it."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live import analysis as module
from fer_deploy.live.analysis import SourceAnalysis
from fer_deploy.live.intake import Chunk, Intake
from fer_deploy.live.load import WorkerLoad
from fer_deploy.live.sources import Source
from fer_deploy.vision.people import People, PeopleConfig
from fer_deploy.vision.preprocess import CropConfig
from fer_deploy.vision.types import Box, Detection, Frame


class StoppedClock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    @contextmanager
    def turn_after(self, wait_ns):
        """A lock that another holds for so long."""
        self.now_ns += wait_ns
        yield


class Detector:
    def __init__(self) -> None:
        self.looked_at: list[int] = []

    def detect(self, frame_bgr, scene_size=None):
        self.looked_at.append(int(frame_bgr[0, 0, 0]))
        return [Detection(Box(10, 5, 70, 65))]


class SomeSource(Source):
    is_live = True
    fps = 10.0

    def frames(self):
        return iter(())


def make_frame(index):
    return Frame(np.full((80, 100, 3), index, dtype=np.uint8), index, index / 10, index * 100_000_000)


class Parts:
    """One source's analysis, its intake, and what it delivered."""

    def __init__(self, *, wanted="auto", multiple=1) -> None:
        self.engine, self.source, self.results = FakeEngine(), SomeSource(), []
        self.interval = WorkerLoad(2).interval(wanted, is_live=True)
        people = People(PeopleConfig(), self.engine.spec.labels)
        self.analysis = SourceAnalysis(
            people, self.engine, CropConfig(), self.interval, source=self.source, deliver=self.results.append
        )
        self.intake = Intake([True], multiple=multiple)
        self.detector = Detector()

    def run(self, engine_turn):
        self.analysis.run(self.intake.take(), self.detector, engine_turn, 0)


@pytest.fixture
def clock(monkeypatch):
    clock = StoppedClock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_waiting_for_the_engine_is_no_work(clock):
    parts = Parts()
    parts.intake.put(0, make_frame(0))
    parts.run(clock.turn_after(5_000_000_000))
    (result,) = parts.results
    assert (result.stage_ns["wait"], result.stage_ns["infer"]) == (5_000_000_000, 0)
    for index in range(1, 4):
        parts.intake.put(0, make_frame(index))
        parts.run(clock.turn_after(5_000_000_000))
    assert parts.interval.frames == 1  # nothing took any time, so that there is room for every look


class TestWhereTheDetectorLooks:
    def looked_at(self, parts, *, is_live, num):
        """Let a source prove to be live or a recording, then let its frames pass; return where the detector looked."""
        parts.source.is_live = is_live
        parts.intake.set_live(0, is_live)
        parts.interval.set_live(is_live)
        for index in range(num):
            parts.intake.put(0, make_frame(index))
            if is_live or index % 3 == 2:
                parts.run(nullcontext())
        assert [result.frame.index for result in parts.results] == list(range(num))
        return parts.detector.looked_at

    def test_url_that_proves_to_be_a_recording(self):
        parts = Parts(wanted=3, multiple=3)
        assert self.looked_at(parts, is_live=False, num=15) == [0, 2, 5, 8, 11, 14]
        boxes = {result.frame.index: result.faces[0].face for result in parts.results}
        assert [index for index, face in boxes.items() if face.is_detected] == parts.detector.looked_at

    def test_url_that_is_live(self):
        assert self.looked_at(Parts(wanted=3, multiple=3), is_live=True, num=10) == [0, 3, 6, 9]

    def test_live_chunks_of_several_frames_are_counted_by_frames(self):
        parts = Parts(wanted=3)
        chunks = [Chunk(0, ticket, tuple(map(make_frame, range(n, n + 4))), n, is_live=True)
                  for ticket, n in enumerate(range(0, 12, 4))]  # fmt: skip
        for chunk in chunks:
            parts.analysis.run(chunk, parts.detector, nullcontext(), 0)
        assert parts.detector.looked_at == [0, 3, 6, 9]


def test_frames_that_gave_way_before_the_intake_count_as_arrivals_and_as_dropped():
    """Every other one of 30 frames a second: what is seen of it looks like 15."""
    parts = Parts()
    for index in range(0, 400, 2):
        parts.interval.note_work(detect_s=1.0, rest_s=0.0)
        parts.source.health.num_overtaken += 1
        parts.intake.put(0, Frame(make_frame(0).frame_bgr, index, index / 30, int(index / 30 * 1e9)))
        parts.run(nullcontext())
    assert parts.interval._between_s == pytest.approx(1 / 30, rel=0.05)
