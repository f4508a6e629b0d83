"""What a worker does with a chunk, on a clock that stands still but where a test moves it."""

from contextlib import contextmanager, nullcontext
from itertools import cycle, pairwise

import numpy as np
import pytest

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live import analysis as module
from fer_deploy.live import stage_times
from fer_deploy.live.analysis import SourceAnalysis
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.intake import Chunk, Intake
from fer_deploy.live.load import WorkerLoad
from fer_deploy.live.sources import Source
from fer_deploy.live.stats import LiveStats
from fer_deploy.live.threads.turnstile import Aborted
from fer_deploy.vision.tracking.people import People, PeopleConfig
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
    num_faces = 1

    def __init__(self) -> None:
        self.looked_at: list[int] = []

    def detect(self, frame_bgr, scene_size=None):
        self.looked_at.append(int(frame_bgr[0, 0, 0]))
        return [Detection(Box(10 * i, 5, 10 * i + 9, 14)) for i in range(3)][: self.num_faces]


class MovingInterval:
    """Another k whenever it is asked, by turns."""

    def __init__(self, ks) -> None:
        self._ks = cycle(ks)

    @property
    def frames(self) -> int:
        return next(self._ks)

    def note_arrival(self, *_):
        pass

    def note_work(self, **_):
        pass


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
            people, self.engine, PipelineConfig(), self.interval, source=self.source, deliver=self.results.append
        )
        self.intake = Intake([True], multiple=multiple)
        self.detector = Detector()

    def run(self, engine_turn):
        self.analysis.run(self.intake.next_chunk(), self.detector, engine_turn, 0)


@pytest.fixture
def clock(monkeypatch):
    clock = StoppedClock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(stage_times, "time", clock)
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


class TestStagesOfAChunk:
    """Each frame has its own times, however many frames a worker has at once."""

    def results(self, clock, *, multiple, num, looks_ms, faces=lambda _: 1):
        """Run a recording as chunks; the detector needs so long for its n-th look, the engine 1 ms a face."""
        parts = Parts(wanted=multiple, multiple=multiple)
        parts.intake.set_live(0, False)
        looks = iter(looks_ms)

        class Slow(Detector):
            def detect(self, frame_bgr, scene_size=None):
                clock.now_ns += next(looks) * 1_000_000
                return super().detect(frame_bgr, scene_size)[: faces(frame_bgr)]

        infer = parts.engine.infer

        def slow_infer(images):
            clock.now_ns += len(images) * 1_000_000
            return infer(images)

        parts.detector, parts.engine.infer = Slow(), slow_infer
        for index in range(num):
            parts.intake.put(0, make_frame(index))
            if index % 4 == 3:
                parts.run(nullcontext())
        return parts.results

    def test_a_slow_look_is_its_frames_own(self, clock):
        """10 % of the looks take 100 ms: as means of chunks of four they were 26.9 ms at the 99th percentile."""
        looks_ms = [100 if i % 10 == 0 else 2 for i in range(80)]
        results = self.results(clock, multiple=1, num=80, looks_ms=looks_ms)
        assert [result.stage_ns["detect"] / 1e6 for result in results] == looks_ms
        stats = LiveStats()
        for result in results:
            stats.add(result)
        (detect,) = (row for row in stats.latencies() if row.stage == "detect")
        assert (detect.p50_ms, detect.p99_ms) == (2, 100)

    def test_a_frame_without_a_look_has_no_time_of_one(self, clock):
        results = self.results(clock, multiple=2, num=16, looks_ms=[7] * 9)
        looked_at = [result.frame.index for result in results if "detect" in result.stage_ns]
        assert looked_at == [0, 1, 3, 5, 7, 9, 11, 13, 15]
        assert {result.stage_ns.get("detect", 7_000_000) for result in results} == {7_000_000}

    def test_frames_share_the_engine_by_their_faces(self, clock):
        results = self.results(clock, multiple=1, num=12, looks_ms=[1] * 12, faces=lambda bgr: int(bgr[0, 0, 0]) % 3)
        shown = [len(result.faces) for result in results]
        assert [result.stage_ns["infer"] / 1e6 for result in results] == shown

    def test_all_frames_of_a_chunk_wait_as_long_as_it_does(self, clock):
        parts = Parts()
        parts.intake.set_live(0, False)
        for index in range(4):
            parts.intake.put(0, make_frame(index))
        parts.run(clock.turn_after(3_000_000_000))
        assert [result.stage_ns["wait"] for result in parts.results] == [3_000_000_000] * 4


class TestGivenUp:
    def test_between_two_looks(self):
        parts = Parts()
        parts.intake.set_live(0, False)
        detect = parts.detector.detect

        def detect_once(*args):
            parts.analysis.give_up()
            return detect(*args)

        parts.detector.detect = detect_once
        for index in range(4):
            parts.intake.put(0, make_frame(index))
        with pytest.raises(Aborted):
            parts.run(nullcontext())
        assert (parts.detector.looked_at, parts.results) == ([0], [])

    def test_between_two_calls_of_the_engine(self, monkeypatch):
        monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
        parts = Parts()
        parts.intake.set_live(0, False)
        infer = parts.engine.infer

        def infer_once(images):
            parts.analysis.give_up()
            return infer(images)

        parts.engine.infer = infer_once
        for index in range(4):
            parts.intake.put(0, make_frame(index))
        with pytest.raises(Aborted):
            parts.run(nullcontext())
        assert (parts.engine.batch_sizes, parts.results) == ([2], [])

    def test_many_faces_are_several_calls_with_the_same_answers(self, monkeypatch):
        answers = []
        for most in (64, 3):
            monkeypatch.setattr(module, "MOST_AT_ONCE", most)
            parts = Parts()
            parts.intake.set_live(0, False)
            for index in range(4):
                parts.intake.put(0, make_frame(50 * index))
            parts.run(nullcontext())
            answers.append(([result.faces for result in parts.results], parts.engine.batch_sizes))
        assert answers[0][0] == answers[1][0]
        assert (answers[0][1], answers[1][1]) == ([4], [3, 1])


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
        chunks = [
            Chunk(0, ticket, tuple(map(make_frame, range(n, n + 4))), n, is_live=True)
            for ticket, n in enumerate(range(0, 12, 4))
        ]
        for chunk in chunks:
            parts.analysis.run(chunk, parts.detector, nullcontext(), 0)
        assert parts.detector.looked_at == [0, 3, 6, 9]

    def test_auto_counts_from_the_last_look(self):
        """k moves between 2 and 3 from frame to frame: by `n % k` two looks were up to five frames apart."""
        parts = Parts()
        parts.analysis._interval = MovingInterval([2, 3])
        looked_at = self.looked_at_live(parts, num=60)
        gaps = {later - earlier for earlier, later in pairwise(looked_at)}
        assert gaps <= {2, 3}

    def looked_at_live(self, parts, *, num):
        for index in range(num):
            parts.intake.put(0, make_frame(index))
            parts.run(nullcontext())
        return parts.detector.looked_at


def test_frames_that_gave_way_before_the_intake_count_as_arrivals_and_as_dropped():
    """Every other one of 30 frames a second: what is seen of it looks like 15."""
    parts = Parts()
    for index in range(0, 400, 2):
        parts.interval.note_work(detect_s=1.0, rest_s=0.0)
        parts.source.health.num_overtaken += 1
        parts.intake.put(0, Frame(make_frame(0).frame_bgr, index, index / 30, int(index / 30 * 1e9)))
        parts.run(nullcontext())
    assert parts.interval._between_s == pytest.approx(1 / 30, rel=0.05)
