"""The regular ends of the loop, what it drops, and what it keeps."""

import json
import threading

import pytest
from integration.live_fakes import (
    GUARD_S,
    IN_FLIGHT,
    BlockingEngine,
    CountingSink,
    OneFaceDetector,
    ScriptedSource,
    live_threads,
    num_video_frames,
    run_guarded,
)

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import JsonlSink, VideoSink


class TestRegularEnds:
    def run(self, source, sinks, **options):
        stats = run_guarded(LivePipeline(source, OneFaceDetector(), FakeEngine(), sinks, **options))
        assert source.num_closed == 1
        assert all(sink.num_closed == 1 for sink in sinks)
        return stats

    @pytest.mark.parametrize("num", [0, 1, 30])
    def test_end_of_stream(self, num):
        sink = CountingSink()
        stats = self.run(ScriptedSource(num), [sink])
        assert sink.indices == list(range(num))
        assert (stats.num_frames, stats.num_faces, stats.num_dropped) == (num, num, 0)

    @pytest.mark.parametrize("is_live", [False, True])
    def test_max_frames(self, is_live):
        sink = CountingSink()
        stats = self.run(ScriptedSource(None, is_live=is_live), [sink], max_frames=5)
        assert len(sink.indices) == stats.num_frames == 5

    def test_a_sink_asks_to_end(self):
        asking, other = CountingSink(stop_at=4), CountingSink()
        self.run(ScriptedSource(None), [asking, other])
        assert asking.indices == other.indices == [0, 1, 2, 3, 4]

    def test_without_sinks(self):
        assert self.run(ScriptedSource(12), []).num_frames == 12

    @pytest.mark.parametrize("is_live", [False, True])
    def test_stop_from_another_thread(self, is_live):
        flowing = threading.Event()
        sink = CountingSink(after=lambda index: index >= 3 and flowing.set())
        source = ScriptedSource(None, is_live=is_live)
        pipeline = LivePipeline(source, OneFaceDetector(), FakeEngine(), [sink])
        stopper = threading.Thread(target=lambda: flowing.wait(GUARD_S) and pipeline.stop())
        stopper.start()
        stats = run_guarded(pipeline)
        stopper.join(GUARD_S)
        assert stats.num_frames == len(sink.indices) >= 2
        assert (source.num_closed, sink.num_closed) == (1, 1)

    def test_stop_while_no_frame_comes(self):
        """The source waits for its device; the loop looks up from time to time all the same."""
        stopped = threading.Event()
        source = ScriptedSource(None, is_live=True, before=lambda index: stopped.wait(GUARD_S))
        sink = CountingSink()
        pipeline = LivePipeline(source, OneFaceDetector(), FakeEngine(), [sink])
        sink.close = stopped.set  # sinks are finalized before the loop waits for its threads
        pipeline.stop()
        assert run_guarded(pipeline).num_frames == 0
        assert stopped.is_set()

    def test_progress(self):
        seen = []
        pipeline = LivePipeline(ScriptedSource(3), OneFaceDetector(), FakeEngine(), [])
        pipeline.run(lambda stats: seen.append(stats.num_frames))
        assert seen == [1, 2, 3]
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
        stats = run_guarded(LivePipeline(source, OneFaceDetector(), engine, [sink]))
        assert sink.indices == [0, 9]  # the one in the engine, and the newest
        assert (stats.num_frames, stats.num_dropped) == (2, 8)

    def test_every_live_frame_is_seen_or_counted(self):
        source = ScriptedSource(None, is_live=True)
        stats = run_guarded(LivePipeline(source, OneFaceDetector(), FakeEngine(), [CountingSink()], max_frames=20))
        missing = source.num_yielded - stats.num_frames - stats.num_dropped
        assert 0 <= missing <= IN_FLIGHT

    def test_file_source_waits_and_drops_nothing(self):
        ahead = []
        source = ScriptedSource(60)
        sink = CountingSink(after=lambda index: ahead.append(source.num_yielded - index))
        stats = run_guarded(LivePipeline(source, OneFaceDetector(), FakeEngine(), [sink]))
        assert sink.indices == list(range(60))
        assert stats.num_dropped == 0
        assert max(ahead) <= IN_FLIGHT


def test_all_faces_of_a_frame_are_one_batch():
    class Crowd(OneFaceDetector):
        def detect(self, frame_gray):
            return super().detect(frame_gray) * 5

    engine = FakeEngine()
    run_guarded(LivePipeline(ScriptedSource(3), Crowd(), engine, []))
    assert engine.batch_sizes == [5, 5, 5]


def test_jsonl_and_video_agree(tmp_path):
    sinks = [JsonlSink(tmp_path / "a.jsonl"), VideoSink(tmp_path / "a.avi", 10.0)]
    run_guarded(LivePipeline(ScriptedSource(17), OneFaceDetector(), FakeEngine(), sinks))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(17))
    assert num_video_frames(tmp_path / "a.avi") == 17


@pytest.mark.parametrize("_", range(5))
def test_a_source_that_breaks_after_the_last_frame_wanted_is_no_failure(_):
    """Capture reads ahead; what it meets there must not decide how a finished run ends."""
    sink = CountingSink()
    source = ScriptedSource(5, error=StreamError("damaged"))
    pipeline = LivePipeline(source, OneFaceDetector(), FakeEngine(), [sink], max_frames=3)
    run_guarded(pipeline)
    assert sink.indices == [0, 1, 2]
