"""What the loop decides once: whether a source is live, what becomes of each frame, and how often it may run."""

import gc
import threading
import weakref

import pytest
from integration.analyze_videos import write_squares
from integration.file_server import FileServer
from integration.live_fakes import (
    GUARD_S,
    BlockingEngine,
    CountingSink,
    OneFaceDetector,
    ScriptedSource,
    make_pipeline,
    run_guarded,
)
from integration.source_watching import wait_until

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import ConfigError, SinkError, StreamError
from fer_deploy.live import ending
from fer_deploy.live.sources import PacedSource, SourceConfig, open_source


class LateSource(ScriptedSource):
    """Says what it is with its first frame, as a URL does that could not be opened at first."""

    def __init__(self, num, *, proves_live: bool, **how) -> None:
        super().__init__(num, **how)
        self.is_live, self._proves_live = None, proves_live

    def frames(self):
        for frame in super().frames():
            self.is_live = self._proves_live
            yield frame


class TestLiveOrNot:
    def test_what_proves_to_be_a_recording_loses_nothing(self):
        """The outlets took it for live and dropped what came too fast."""
        sink = CountingSink(after=lambda index: index == 0 and threading.Event().wait(0.3))
        snapshot = run_guarded(make_pipeline(LateSource(300, proves_live=False), [sink]))
        assert sink.indices == list(range(300))
        assert [one.num_dropped for one in snapshot.sinks] == [0]
        assert not snapshot.sources[0].is_live

    def test_what_proves_to_be_live_waits_for_no_sink(self):
        release = threading.Event()
        sink = CountingSink(after=lambda index: index == 0 and release.wait(GUARD_S))
        source = LateSource(200, proves_live=True, before=lambda index: index == 199 and release.set())
        snapshot = run_guarded(make_pipeline(source, [sink]))
        assert snapshot.sources[0].is_live
        assert source.num_yielded == 200

    def test_a_recording_beside_one_that_is_not_known_yet_waits_until_it_is(self):
        known = threading.Event()
        late = LateSource(3, proves_live=True, before=lambda index: known.wait(GUARD_S))
        sink = CountingSink(after=lambda index: index == 39 and known.set())
        recording = ScriptedSource(40)
        run_guarded(make_pipeline([recording, late], [sink]))
        assert [index for index in sink.indices if index >= 3] == list(range(3, 40))

    def test_a_failing_output_waits_for_the_decision(self):
        """Live the others go on, so nobody may end the run before it is known."""
        known = threading.Event()
        late = LateSource(20, proves_live=True, before=lambda index: known.wait(GUARD_S))

        class Failing(CountingSink):
            def idle(self):
                known.set()
                raise OSError(5, "Input/output error")

        other = CountingSink()
        with pytest.raises(SinkError):
            run_guarded(make_pipeline(late, [Failing(), other]))
        assert other.indices

    def test_a_window_paces_only_recordings(self):
        for proves_live in (False, True):
            told = []
            sink = CountingSink()
            sink.become_live = lambda told=told: told.append(True)
            run_guarded(make_pipeline(LateSource(5, proves_live=proves_live), [sink]))
            assert told == [True] * proves_live

    def test_keep_trying_with_a_recording_behind_a_url(self, tmp_path):
        write_squares(tmp_path / "a.mp4", 150)
        with FileServer(tmp_path) as server:
            source = open_source(server.url("a.mp4"), SourceConfig(keep_trying=True))
            assert source.is_live is None
            sink = CountingSink()
            snapshot = run_guarded(make_pipeline(source, [sink]))
        assert source.is_live is False
        assert sink.indices == list(range(150))
        assert (snapshot.num_dropped, snapshot.sinks[0].num_dropped) == (0, 0)

    def test_realtime_with_one_that_proves_to_be_live(self):
        source = PacedSource(LateSource(5, proves_live=True))
        assert [frame.index for frame in source.frames()] == list(range(5))


class TestEveryFrameIsAccountedFor:
    def check(self, snapshot, sources):
        for source, seen in zip(sources, snapshot.sources, strict=True):
            assert seen.health.num_captured == source.num_yielded
        num = sum(one.health.num_captured - one.num_dropped - one.health.num_unused for one in snapshot.sources)
        assert num == snapshot.num_frames

    @pytest.mark.parametrize("is_live", [False, True])
    def test_stopped_with_frames_in_every_hand(self, is_live):
        release = threading.Event()
        engine = BlockingEngine(release)
        source = ScriptedSource(None, is_live=is_live)
        pipeline = make_pipeline(source, [CountingSink()], engine=engine)

        def stop():
            assert engine.entered.wait(GUARD_S)
            pipeline.stop()
            release.set()

        stopper = threading.Thread(target=stop)
        stopper.start()
        snapshot = run_guarded(pipeline)
        stopper.join()
        self.check(snapshot, [source])
        assert is_live or snapshot.sources[0].health.num_unused > 0

    def test_all_analyzed(self):
        sources = [ScriptedSource(20), ScriptedSource(13)]
        snapshot = run_guarded(make_pipeline(sources, [CountingSink()]))
        self.check(snapshot, sources)
        assert [one.health.num_unused for one in snapshot.sources] == [0, 0]

    def test_max_frames(self):
        source = ScriptedSource(None)
        self.check(run_guarded(make_pipeline(source, [CountingSink()], max_frames=7)), [source])

    def test_a_failure(self):
        source = ScriptedSource(None)
        pipeline = make_pipeline(source, [CountingSink(fail_at=9)])
        with pytest.raises(SinkError):
            run_guarded(pipeline)
        self.check(pipeline.snapshot(), [source])


class TestStoppedInALongChunk:
    """A chunk of a hundred frames takes longer than anybody waits: it is given up, and that is no failure."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(ending, "PATIENCE_S", 0.1)

    def test_while_the_detector_looks(self):
        looking, pause = threading.Event(), threading.Event()

        class Slow(OneFaceDetector):
            def detect(self, frame_bgr, scene_size=None):
                looking.set()
                pause.wait(0.2)
                return super().detect(frame_bgr, scene_size)

        source, sink = ScriptedSource(None), CountingSink()
        pipeline = make_pipeline(source, [sink], detector=Slow())
        stopper = threading.Thread(target=lambda: looking.wait(GUARD_S) and pipeline.stop())
        stopper.start()
        snapshot = run_guarded(pipeline)
        stopper.join()
        assert sink.indices == list(range(snapshot.num_frames))
        TestEveryFrameIsAccountedFor().check(snapshot, [source])

    def test_while_the_engine_works_off_a_hundred_frames(self, monkeypatch):
        monkeypatch.setattr("fer_deploy.live.analysis.MOST_AT_ONCE", 4)
        working, pause = threading.Event(), threading.Event()

        class Slow(FakeEngine):
            def _run(self, images_nchw):
                working.set()
                pause.wait(0.2)
                return super()._run(images_nchw)

        source, sink, engine = ScriptedSource(None), CountingSink(), Slow()
        pipeline = make_pipeline(source, [sink], engine=engine, detect_every=100)
        stopper = threading.Thread(target=lambda: working.wait(GUARD_S) and pipeline.stop())
        stopper.start()
        snapshot = run_guarded(pipeline)
        stopper.join()
        assert len(engine.batch_sizes) < 25
        assert (snapshot.num_frames, sink.indices, sink.num_closed) == (0, [], 1)
        TestEveryFrameIsAccountedFor().check(snapshot, [source])

    def test_a_recordings_output_that_hangs_is_given_up_after_a_stop(self, monkeypatch):
        """Stopping a run whose pipe nobody reads: SIGTERM was ignored for as long as the pipe was full."""
        monkeypatch.setattr(ending, "GRACE_S", 0.2)
        release, hanging = threading.Event(), threading.Event()

        def hang(index):
            hanging.set()
            release.wait(GUARD_S)

        sink = CountingSink(after=hang)
        pipeline = make_pipeline(ScriptedSource(None), [sink])
        stopper = threading.Thread(target=lambda: hanging.wait(GUARD_S) and pipeline.stop())
        stopper.start()
        try:
            with pytest.raises(SinkError, match=r"the sink sink did not end within 0\.2 s"):
                pipeline.run()
        finally:
            release.set()
            stopper.join()

    def test_a_stop_that_comes_while_an_output_is_finished_is_heard(self, monkeypatch):
        monkeypatch.setattr(ending, "CLOSE_S", 0.2)
        closing, release = threading.Event(), threading.Event()

        class Slow(CountingSink):
            def close(self):
                super().close()
                closing.set()
                release.wait(GUARD_S)

        pipeline = make_pipeline(ScriptedSource(3), [Slow()])
        stopper = threading.Thread(target=lambda: closing.wait(GUARD_S) and pipeline.stop())
        stopper.start()
        try:
            with pytest.raises(SinkError, match=r"the sink sink did not end within 0\.2 s"):
                pipeline.run()
        finally:
            release.set()
            stopper.join()


class TestRunsOnce:
    def test_a_window_in_a_for_loop_is_refused(self):
        window = CountingSink()
        window.needs_main_thread, window.name = True, "window"
        source = ScriptedSource(3)
        pipeline = make_pipeline(source, [window])
        with pytest.raises(ConfigError, match=r"beside the window sink: it needs the main thread.*Fix: call run\(\)"):
            iter(pipeline)
        assert (source.num_yielded, window.num_closed) == (0, 0)
        run_guarded(pipeline)
        assert window.indices == [0, 1, 2]

    def test_a_second_run_is_refused(self):
        pipeline = make_pipeline(ScriptedSource(3), [CountingSink()])
        run_guarded(pipeline)
        with pytest.raises(ConfigError, match=r"has run, and its sources and sinks are closed\. Fix: make a new Live"):
            run_guarded(pipeline)

    def test_a_second_loop_is_refused(self):
        pipeline = make_pipeline(ScriptedSource(3))
        assert [result.frame.index for result in pipeline] == [0, 1, 2]
        with pytest.raises(ConfigError, match=r"Fix: make a new LivePipeline"):
            iter(pipeline)

    def test_after_a_failure_too(self):
        pipeline = make_pipeline(ScriptedSource(3, error=StreamError("damaged")))
        with pytest.raises(StreamError, match="damaged"):
            run_guarded(pipeline)
        with pytest.raises(ConfigError, match=r"Fix: make a new LivePipeline"):
            pipeline.run()


def test_a_worker_that_waits_holds_no_frame():
    """A chunk may take a gigabyte; one that a worker remembers while it waits would be kept for nothing."""
    pictures, idle = [], threading.Event()

    class Watched(ScriptedSource):
        def frames(self):
            for frame in super().frames():
                if frame.index < 4:
                    pictures.append(weakref.ref(frame.frame_bgr))
                yield frame
                del frame

    def before(index):
        if index == 8:
            wait_until(lambda: gc.collect() is not None and sum(one() is not None for one in pictures) <= 1)
            idle.set()

    run_guarded(make_pipeline(Watched(9, before=before), []))
    assert idle.is_set()
