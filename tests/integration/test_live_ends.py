"""The regular ends of the loop, what it drops, and what it keeps."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from integration.live_fakes import (
    GUARD_S,
    IN_FLIGHT,
    BlockingEngine,
    CountingSink,
    OneFaceDetector,
    ScriptedSource,
    live_threads,
    make_pipeline,
    num_video_frames,
    run_guarded,
)
from integration.source_watching import wait_until

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import JsonlSink, VideoSink
from fer_deploy.vision.types import Box, Detection


class Photos(ScriptedSource):
    """Named pictures, by turns a little dark and a little bright."""

    def frames(self):
        for frame in super().frames():
            level = (115, 140)[frame.index % 2]
            yield replace(frame, frame_bgr=np.full((80, 100, 3), level, dtype=np.uint8), name=f"{frame.index}.png")


class TestRegularEnds:
    def run(self, source, sinks, **options):
        snapshot = run_guarded(make_pipeline(source, sinks, **options))
        assert source.num_closed == 1
        assert all(sink.num_closed == 1 for sink in sinks)
        return snapshot

    @pytest.mark.parametrize("num", [0, 1, 3, 4, 30])
    @pytest.mark.parametrize("detect_every", [1, 3])
    def test_end_of_stream(self, num, detect_every):
        sink = CountingSink()
        snapshot = self.run(ScriptedSource(num), [sink], detect_every=detect_every)
        assert sink.indices == list(range(num))
        assert (snapshot.num_frames, snapshot.num_faces, snapshot.num_dropped) == (num, num, 0)

    @pytest.mark.parametrize("is_live", [False, True])
    def test_max_frames(self, is_live):
        sink = CountingSink()
        source = ScriptedSource(None, is_live=is_live)
        snapshot = self.run(source, [sink], max_frames=5)
        assert snapshot.num_frames == 5
        assert len(sink.indices) == 5

    def test_a_sink_asks_to_end(self):
        asking, other = CountingSink(stop_at=4), CountingSink()
        snapshot = self.run(ScriptedSource(None), [asking, other])
        assert asking.indices == [0, 1, 2, 3, 4]
        assert other.indices == list(range(snapshot.num_frames))
        assert snapshot.num_frames >= 5

    def test_without_sinks(self):
        assert self.run(ScriptedSource(12), []).num_frames == 12

    @pytest.mark.parametrize("is_live", [False, True])
    def test_stop_from_another_thread(self, is_live):
        flowing = threading.Event()
        sink = CountingSink(after=lambda index: index >= 3 and flowing.set())
        source = ScriptedSource(None, is_live=is_live)
        pipeline = make_pipeline(source, [sink])
        stopper = threading.Thread(target=lambda: flowing.wait(GUARD_S) and pipeline.stop())
        stopper.start()
        snapshot = run_guarded(pipeline)
        stopper.join(GUARD_S)
        assert len(sink.indices) >= 1
        assert is_live or sink.indices == list(range(snapshot.num_frames))
        assert (source.num_closed, sink.num_closed) == (1, 1)

    def test_stop_while_no_frame_comes(self):
        """The source waits for its device until it is told to stop."""
        source = ScriptedSource(None, is_live=True)
        source._before = lambda index: source._stopped.wait(GUARD_S)
        pipeline = make_pipeline(source, [CountingSink()])
        pipeline.stop()
        run_guarded(pipeline)
        assert source._stopped.is_set()
        assert source.num_closed == 1

    def test_max_frames_stop_a_source_that_waits(self):
        """What comes after the last frame wanted may take for ever to come."""
        source = ScriptedSource(None, is_live=True)
        source._before = lambda index: index == 3 and source._stopped.wait(GUARD_S)
        assert run_guarded(make_pipeline(source, [], max_frames=1)).num_frames == 1
        assert source.num_closed == 1

    def test_only_who_looks_at_pixels_gets_them(self):
        """Hundreds of results may wait for a file on a slow disk; at 4K each frame has 25 MB."""
        looking, bare = CountingSink(), CountingSink()
        sizes = {looking: set(), bare: set()}
        bare.needs_pixels = False
        for sink in (looking, bare):
            sink.write = lambda result, picture, sink=sink: sizes[sink].add(result.frame.frame_bgr.shape) or True
        run_guarded(make_pipeline(ScriptedSource(5), [looking, bare]))
        assert sizes == {looking: {(80, 100, 3)}, bare: {(0, 0, 3)}}

    def test_progress(self):
        seen = []
        sink = CountingSink(after=lambda index: seen or threading.Event().wait(0.01))
        run_guarded(make_pipeline(ScriptedSource(200), [sink]), lambda snapshot: seen.append(snapshot.num_frames))
        assert seen == sorted(seen)
        assert live_threads() == []


class TestDrops:
    def test_live_source_drops_what_a_blocked_engine_cannot_take(self):
        release = threading.Event()
        engine = BlockingEngine(release)
        source = ScriptedSource(
            10,
            is_live=True,
            before=lambda index: (index == 1 and engine.entered.wait(GUARD_S), index == 10 and release.set()),
        )
        sink = CountingSink()
        snapshot = run_guarded(make_pipeline(source, [sink], engine=engine))
        assert sink.indices[0] == 0
        assert sink.indices[-1] == 9  # the newest
        assert snapshot.num_frames + snapshot.num_dropped == 10
        assert snapshot.num_frames <= 4  # one in the engine, one in the other worker's hand, the newest, and a race

    def test_every_live_frame_is_seen_or_counted(self):
        source = ScriptedSource(None, is_live=True)
        snapshot = run_guarded(make_pipeline(source, [CountingSink()], max_frames=20))
        missing = source.num_yielded - snapshot.num_frames - snapshot.num_dropped
        assert 0 <= missing <= 2  # in capture's hand, and in the intake

    def test_frames_that_gave_way_in_the_source_are_counted_with_those_of_the_loop(self):
        source = ScriptedSource(None, is_live=True)
        source.health.num_overtaken = 7
        snapshot = run_guarded(make_pipeline(source, max_frames=20))
        missing = source.num_yielded + 7 - snapshot.num_frames - snapshot.num_dropped
        assert 0 <= missing <= 2  # in capture's hand, and in the intake

    def test_file_source_waits_and_drops_nothing(self):
        ahead = []
        source = ScriptedSource(60)
        sink = CountingSink(after=lambda index: ahead.append(source.num_yielded - index))
        snapshot = run_guarded(make_pipeline(source, [sink]))
        assert sink.indices == list(range(60))
        assert snapshot.num_dropped == 0
        assert max(ahead) <= IN_FLIGHT

    def test_a_slow_sink_holds_a_recording_back_and_nothing_is_lost(self):
        slow, quick = CountingSink(after=lambda index: threading.Event().wait(0.002)), CountingSink()
        run_guarded(make_pipeline(ScriptedSource(60), [slow, quick]))
        assert slow.indices == quick.indices == list(range(60))

    def test_a_blocked_sink_costs_a_live_loop_only_its_own_results(self):
        release = threading.Event()
        blocked, quick = CountingSink(after=lambda index: release.wait(GUARD_S)), CountingSink()
        quick._after = lambda index: len(quick.indices) == 50 and release.set()
        snapshot = run_guarded(make_pipeline(ScriptedSource(None, is_live=True), [blocked, quick], max_frames=100))
        assert snapshot.num_frames == 100
        by_sink = {sink.num_written + sink.num_dropped for sink in snapshot.sinks}
        assert by_sink == {100}
        assert snapshot.sinks[0].num_dropped >= 1


class TestDetectEvery:
    def test_the_detector_looks_at_every_third_frame_of_a_recording(self):
        detector = OneFaceDetector()
        run_guarded(make_pipeline(ScriptedSource(13), detector=detector, detect_every=3))
        # 0 and 2, then 5, 8, 11; the last chunk has one frame, which ends it
        assert detector.num_looks == 6

    def test_live(self):
        detector = OneFaceDetector()
        snapshot = run_guarded(
            make_pipeline(ScriptedSource(None, is_live=True), detector=detector, detect_every=4, max_frames=21)
        )
        assert detector.num_looks == 6
        assert snapshot.detect_every == 4


class TestSeveralSources:
    def test_every_source_is_whole_and_in_order(self):
        sources, sink = [ScriptedSource(25), ScriptedSource(40)], CountingSink()
        got = {0: [], 1: []}
        sink.write = lambda result, picture: got[result.frame.source].append(result.frame.index) or True
        snapshot = run_guarded(make_pipeline(sources, [sink]))
        assert got == {0: list(range(25)), 1: list(range(40))}
        assert [source.health.num_captured for source in snapshot.sources] == [25, 40]
        assert [source.num_closed for source in sources] == [1, 1]

    def test_people_of_different_sources_are_different(self):
        ids = {0: set(), 1: set()}
        sink = CountingSink()
        sink.write = lambda r, picture: ids[r.frame.source].update(f.face.track_id for f in r.faces) or True
        run_guarded(make_pipeline([ScriptedSource(9), ScriptedSource(9)], [sink]))
        assert ids == {0: {1}, 1: {1}}


class TestIteration:
    def test_all_results_in_order(self):
        pipeline = LivePipeline(ScriptedSource(30), OneFaceDetector(), FakeEngine())
        assert [result.frame.index for result in pipeline] == list(range(30))
        assert live_threads() == []

    def test_breaking_out_ends_the_run(self):
        source = ScriptedSource(None)
        for result in LivePipeline(source, OneFaceDetector(), FakeEngine()):
            if result.frame.index == 7:
                break
        assert source.num_closed == 1
        assert live_threads() == []

    def test_a_failure_reaches_the_reader_after_what_came_before(self):
        source, seen = ScriptedSource(3, error=StreamError("unplugged")), []
        with pytest.raises(StreamError, match="unplugged"):  # noqa: PT012 - what came before counts
            for result in LivePipeline(source, OneFaceDetector(), FakeEngine()):
                seen.append(result.frame.index)  # noqa: PERF401 - as above
        assert seen == [0, 1, 2]
        assert live_threads() == []


@pytest.mark.parametrize("detect_every", [1, 3])
@pytest.mark.parametrize("is_live", [False, True])
def test_photos_are_no_film(detect_every, is_live):
    """The same place in each, as in portraits; somebody else, who looks a little otherwise."""
    seen = []
    one_by_one = {"is_live": is_live, "before": lambda index: wait_until(lambda: not is_live or len(seen) == index)}
    for result in make_pipeline(Photos(4, **one_by_one), detect_every=detect_every):
        seen += result.faces
    assert [face.face.track_id for face in seen] == [1, 2, 3, 4]
    assert all(face.face.is_detected for face in seen)
    assert [face.emotion.label for face in seen] == ["dark", "bright"] * 2
    assert max(face.emotion.confidence for face in seen) < 0.6
    assert [face.smoothed for face in seen] == [face.emotion for face in seen]


def test_all_faces_of_a_live_frame_are_one_batch():
    class Crowd(OneFaceDetector):
        def detect(self, frame_bgr, scene_size=None):
            return [Detection(Box(2 + 19 * i, 10, 19 + 19 * i, 27)) for i in range(5)]

    engine = FakeEngine()
    run_guarded(make_pipeline(ScriptedSource(3, is_live=True), detector=Crowd(), engine=engine))
    assert set(engine.batch_sizes) == {5}


def test_faces_of_several_frames_of_a_recording_are_one_batch():
    engine = FakeEngine()
    run_guarded(make_pipeline(ScriptedSource(16), engine=engine))
    assert engine.batch_sizes == [4, 4, 4, 4]


def test_jsonl_and_video_agree(tmp_path):
    sinks = [JsonlSink(tmp_path / "a.jsonl"), VideoSink(tmp_path / "a.avi", 10.0)]
    run_guarded(make_pipeline(ScriptedSource(17), sinks))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(17))
    assert num_video_frames(tmp_path / "a.avi") == 17
