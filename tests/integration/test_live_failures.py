"""Every failure of the loop ends it at once, with the right error, and leaves nothing open."""

import shutil
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from integration.live_fakes import (
    GUARD_S,
    BlockingEngine,
    CountingSink,
    OneFaceDetector,
    ScriptedSource,
    SizedSource,
    make_pipeline,
    num_video_frames,
    run_guarded,
)

from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.detectors.search import FaceSearch
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import ConfigError, EngineError, SinkError, StreamError
from fer_deploy.live import ending
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import JsonlSink, VideoSink
from fer_deploy.vision.types import Box


def fails(source, sinks, *, detector=None, engine=None):
    """Run a loop that must fail; return the error after checking that everything was closed once."""
    pipeline = make_pipeline(source, sinks, detector=detector, engine=engine)
    with pytest.raises((StreamError, EngineError)) as caught:
        run_guarded(pipeline)
    assert source.num_closed == 1
    assert all(sink.num_closed == 1 for sink in sinks if isinstance(sink, CountingSink))
    return caught.value


class TestSource:
    @pytest.mark.parametrize("num", [0, 1, 7])
    def test_stream_error_after_frames(self, num):
        sinks = [CountingSink(), CountingSink()]
        err = fails(ScriptedSource(num, error=StreamError("camera 0 delivered no further frame")), sinks)
        assert type(err) is StreamError
        assert (err.stage, err.exit_code, str(err)) == ("capture", 8, "camera 0 delivered no further frame")
        assert [sink.indices for sink in sinks] == [list(range(num))] * 2

    def test_unexpected_error_is_wrapped(self):
        sink = CountingSink()
        cause = ValueError("bad packet")
        err = fails(ScriptedSource(3, error=cause), [sink])
        assert type(err) is StreamError
        assert str(err) == "the capture thread failed: ValueError: bad packet"
        assert err.stage == "capture"
        assert err.__cause__ is cause
        assert sink.indices == [0, 1, 2]

    def test_close_fails(self):
        sink = CountingSink()
        err = fails(ScriptedSource(3, close_error=OSError("device busy")), [sink])
        assert str(err) == "the capture thread failed: OSError: device busy"
        assert sink.indices == [0, 1, 2]

    def test_live_source_fails_while_the_engine_works(self):
        release = threading.Event()
        engine = BlockingEngine(release)
        source = ScriptedSource(
            2,
            error=StreamError("unplugged"),
            is_live=True,
            before=lambda index: (index == 1 and engine.entered.wait(GUARD_S), index == 2 and release.set()),
        )
        sink = CountingSink()
        err = fails(source, [sink], engine=engine)
        assert (err.stage, str(err)) == ("capture", "unplugged")
        assert sink.indices == [0, 1]


class TestInfer:
    def test_engine_raises(self):
        """What was analyzed before is delivered; the chunk in the engine, and what comes after it, is not."""
        sink = CountingSink()
        err = fails(ScriptedSource(None), [sink], engine=FakeEngine(fail_at_call=3))
        assert type(err) is EngineError
        assert (err.stage, err.exit_code) == ("infer", 7)
        assert "told to fail at call 3" in str(err)
        # Two workers may ask the engine in either order: the third or the fourth chunk is the one that fails.
        assert sink.indices in (list(range(8)), list(range(12)))

    def test_engine_raises_live(self):
        sink = CountingSink()
        err = fails(ScriptedSource(None, is_live=True), [sink], engine=FakeEngine(fail_at_call=3))
        assert (err.stage, err.exit_code) == ("infer", 7)
        assert sink.indices == sorted(set(sink.indices))

    def test_a_run_that_fails_replaces_no_older_file(self, tmp_path, caplog):
        """Whatever ends it: what was written is kept beside the older files, and told."""

        paths = [tmp_path / "a.jsonl", tmp_path / "a.avi"]
        for path in paths:
            path.write_bytes(b"old")
        err = fails(
            ScriptedSource(None), [JsonlSink(paths[0]), VideoSink(paths[1], 10.0)], engine=FakeEngine(fail_at_call=9)
        )
        assert "told to fail at call 9" in str(err)
        assert [path.read_bytes() for path in paths] == [b"old"] * 2
        (lines,), (video,) = tmp_path.glob("a.*.part.jsonl"), tmp_path.glob("a.*.part.avi")
        assert len(lines.read_text().splitlines()) == num_video_frames(video) > 0
        assert [message.partition(" is unchanged; ")[0] for message in caplog.messages] == [str(path) for path in paths]

    def test_detector_raises(self):
        err = fails(ScriptedSource(None), [CountingSink()], detector=OneFaceDetector(fail_at=2))
        assert type(err) is EngineError
        assert str(err) == "the infer thread failed: RuntimeError: the cascade is broken"
        assert err.stage == "infer"

    def test_a_detector_that_cannot_be_made(self):
        def detectors():
            raise ConfigError("no such detector")

        source = ScriptedSource(None)
        pipeline = LivePipeline(source, detectors, FakeEngine(), [])
        with pytest.raises(ConfigError, match="no such detector"):
            run_guarded(pipeline)
        assert source.num_closed == 1

    def test_first_failure_wins(self):
        err = fails(
            ScriptedSource(None), [CountingSink(close_error=OSError("late"))], engine=FakeEngine(fail_at_call=0)
        )
        assert (err.stage, str(err)) == ("infer", "FakeEngine was told to fail at call 0")


class TestSinksOfRecordings:
    """Nothing may be lost, so the first failure ends the run."""

    def test_write_raises(self):
        bad, good = CountingSink(fail_at=0), CountingSink()
        err = fails(ScriptedSource(None), [good, bad])
        assert type(err) is SinkError
        assert str(err) == "the sink sink failed: OSError: [Errno 5] Input/output error"
        assert (err.stage, err.exit_code) == ("sink", 8)
        assert isinstance(err.__cause__, OSError)
        assert good.indices == list(range(len(good.indices)))
        assert bad.indices == []

    def test_close_raises(self):
        bad, before, after = CountingSink(close_error=SinkError("incomplete")), CountingSink(), CountingSink()
        err = fails(ScriptedSource(3), [before, bad, after])
        assert (type(err), err.stage, str(err)) == (SinkError, "sink", "incomplete")
        assert before.indices == bad.indices == after.indices == [0, 1, 2]

    def test_write_error_is_not_hidden_by_close_error(self):
        """The first error is re-raised: the cause, not what follows from it."""
        err = fails(ScriptedSource(3), [CountingSink(fail_at=1, close_error=SinkError("incomplete"))])
        assert "Input/output error" in str(err)

    def test_disk_full_for_jsonl(self):
        other = CountingSink()
        err = fails(ScriptedSource(None), [JsonlSink(Path("/dev/full")), other])
        assert type(err) is SinkError
        assert str(err).startswith("cannot write /dev/full: No space left on device")

    def test_disk_full_for_video(self, monkeypatch, tmp_path):
        """What was recorded until then is whole and has its name."""
        free = iter([10**12] * 4)
        usage = namedtuple("usage", "free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(next(free, 2**20)))
        path = tmp_path / "a.mp4"
        other = CountingSink()
        err = fails(ScriptedSource(None), [VideoSink(path, 10.0), other])
        assert type(err) is SinkError
        assert f"disk full: 1 MiB left for {path}, which has the frames up to here" in str(err)
        assert num_video_frames(path) == 4
        assert other.num_closed == 1
        assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


class TestSinksOfLiveLoops:
    """An output that fails is given up and told at the end; the loop and the other outputs go on."""

    def test_write_raises(self):
        bad, good = CountingSink(fail_at=2), CountingSink()
        pipeline = make_pipeline(ScriptedSource(None, is_live=True), [bad, good], max_frames=40)
        with pytest.raises(SinkError, match="Input/output error"):
            run_guarded(pipeline)
        snapshot = pipeline.snapshot()
        assert snapshot.num_frames == 40
        assert snapshot.sinks[0].num_written == 2
        assert snapshot.sinks[0].num_dropped == 38, "what it missed after its failure is counted"
        assert [bool(sink.failure) for sink in snapshot.sinks] == [True, False]
        assert (bad.num_closed, good.num_closed) == (1, 1)

    def test_one_that_failed_is_told_at_once_and_the_last_one_ends_the_run(self, caplog):
        first, last = CountingSink(fail_at=2), CountingSink(fail_at=50)
        pipeline = make_pipeline(ScriptedSource(None, is_live=True), [first, last])
        with pytest.raises(SinkError, match="Input/output error"):
            run_guarded(pipeline)
        assert [message.count("output has failed") for message in caplog.messages[:2]] == [1, 1]
        assert len(last.indices) == 50

    def test_a_sink_that_hangs_is_given_up(self, monkeypatch):
        monkeypatch.setattr(ending, "GRACE_S", 0.2)
        release = threading.Event()
        hanging, good = CountingSink(after=lambda index: release.wait(GUARD_S)), CountingSink()
        pipeline = make_pipeline(ScriptedSource(None, is_live=True), [hanging, good], max_frames=10)
        try:
            with pytest.raises(SinkError, match=r"the sink sink did not end within 0\.2 s"):
                pipeline.run()
        finally:
            release.set()
        assert good.num_closed == 1
        assert pipeline.snapshot().num_frames == 10


class TestRegion:
    """`OneFinder` stands for the network; what picks its part of the frame is the real `FaceSearch`."""

    ROI = (50, 0, 100, 80)  # pixels: the right half of `make_frame`'s 100x80

    class OneFinder:
        smallest_face, smallest_gray_face, largest_picture = 16, 16, None

        def find(self, picture_bgr):
            height, width = picture_bgr.shape[:2]
            return FoundFaces(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32))

    def boxes(self, sources):
        pipeline = make_pipeline(sources, detector=lambda: FaceSearch(self.OneFinder(), roi=self.ROI))
        return [[face.box for face in result.faces] for result in pipeline]

    def test_a_camera_that_changes_its_size_shows_the_same_scene(self):
        source = SizedSource([(100, 80)] * 2 + [(50, 40)] * 2 + [(200, 160)])
        assert self.boxes(source) == [[Box(50, 0, 100, 80)]] * 2 + [[Box(25, 0, 50, 40)]] * 2 + [
            [Box(100, 0, 200, 160)]
        ]

    def test_photos_are_scenes_of_their_own(self):
        source = SizedSource([(200, 80), (100, 80)], names=("a.png", "b.png"))
        assert self.boxes(source) == [[Box(50, 0, 100, 80)]] * 2

    def test_a_photo_without_such_pixels_costs_no_other_one(self, caplog):
        source = SizedSource([(200, 80), (40, 30), (100, 80)], names=("a.png", "small.png", "c.png"))
        assert self.boxes(source) == [[Box(50, 0, 100, 80)], [], [Box(50, 0, 100, 80)]]
        assert "small.png: the region 50,0,100,80 has no pixel in a frame of 40x30" in caplog.text

    def test_a_camera_without_such_pixels_leaves_the_others_running(self, caplog):
        small, whole = SizedSource([(40, 30)] * 300), SizedSource([(100, 80)] * 30)
        with pytest.raises(ConfigError, match=r"has no pixel in a frame of 40x30\. Fix: "):
            self.boxes([small, whole])
        assert whole.num_yielded == 30
        assert small.num_yielded < 300
        assert "has no pixel in a frame of 40x30" in caplog.text


class TestSources:
    def test_one_of_two_sources_fails_and_the_other_goes_on(self):
        broken, whole, sink = ScriptedSource(2, error=StreamError("unplugged")), ScriptedSource(30), CountingSink()
        pipeline = make_pipeline([broken, whole], [sink])
        with pytest.raises(StreamError, match="unplugged"):
            run_guarded(pipeline)
        assert len(sink.indices) == 32
        assert (broken.num_closed, whole.num_closed) == (1, 1)

    @pytest.mark.parametrize("_", range(5))
    def test_a_source_that_breaks_after_the_last_frame_wanted_is_no_failure(self, _):
        """Capture reads ahead; what it meets there must not decide how a finished run ends."""
        sink = CountingSink()
        run_guarded(make_pipeline(ScriptedSource(5, error=StreamError("damaged")), [sink], max_frames=3))
        assert sink.indices == [0, 1, 2]

    def test_a_source_that_hangs_is_given_up(self, monkeypatch):
        monkeypatch.setattr(ending, "GRACE_S", 0.2)
        release = threading.Event()
        source = ScriptedSource(None, is_live=True, before=lambda index: index == 3 and release.wait(GUARD_S))
        pipeline = make_pipeline(source, [])
        stopper = threading.Timer(0.3, pipeline.stop)
        stopper.start()
        try:
            pipeline.run()
        finally:
            release.set()
            stopper.join()
        assert pipeline.snapshot().num_frames >= 1
