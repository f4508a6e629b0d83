"""Worker processes change the speed of an analysis, and nothing else."""

import io
import itertools
import os
import signal
import time
from contextlib import contextmanager

import pyarrow.parquet as pq
import pytest
from cases.media_files import scenes, write_film
from integration.analyze_jobs import Noted, analyze, contents, make_batch, squares
from integration.analyze_videos import SquareDetector, picture, stop_after_segments, transport_stream, write_squares

from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.jobs.crew import Crew
from fer_deploy.analyze.jobs.split_analysis import SplitAnalysis
from fer_deploy.analyze.models import Models
from fer_deploy.analyze.parts import Parts
from fer_deploy.analyze.video_analysis import VideoAnalysis
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, StreamError

NUM = 5 * 24 + 7


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return [write_squares(folder / f"{name}.mp4", num) for name, num in (("a", NUM), ("b", 60), ("c", 5))]


@pytest.fixture(scope="module")
def expected(videos, tmp_path_factory):
    """Results of one process, with the annotated video."""
    out = tmp_path_factory.mktemp("expected")
    analyze(videos, out, jobs=1)
    return contents(out)


class WithPids(Noted):
    """Calls back with the crew's process ids once so many frames are done."""

    def __init__(self, num, act):
        super().__init__(self._note)
        self._num, self._act, self.batch, self.num_acts = num, act, None, 0

    def _note(self, num_frames):
        if num_frames >= self._num and not self.num_acts:
            self.num_acts += 1
            self._act(self.batch)


def run_with(videos, out, progress, **settings):
    batch = progress.batch = make_batch(videos, out, jobs=2, progress=progress, **settings)
    return batch.run(lambda outcome: None)


class TestSameResults:
    def test_with_videos(self, videos, expected, tmp_path):
        progress = Noted()
        outcomes = analyze(videos, tmp_path, jobs=2, progress=progress)
        assert [outcome.video for outcome in outcomes] == videos
        assert contents(tmp_path) == expected
        assert progress.notes == []

    def test_without_videos(self, videos, expected, tmp_path):
        (outcome,) = analyze(videos[:1], tmp_path, jobs=3, video=False)
        assert outcome.summary.accounting.num_analyzed == NUM
        found = contents(tmp_path)
        tables = {name for name in found if name.endswith((".csv", ".parquet", ".png"))}
        assert len(tables) == 5
        for name in tables:
            now, then = found[name], expected[name]
            if name.endswith(".parquet"):  # its metadata say that there was no video
                now, then = (pq.read_table(io.BytesIO(content)) for content in (now, then))
            assert now == then, name

    def test_covered_faces(self, videos, expected, tmp_path):
        settings = {"pipeline": {"anonymize": "box"}}
        for jobs in (1, 2):
            analyze(videos[1:2], tmp_path / str(jobs), jobs=jobs, **settings)
        found = contents(tmp_path / "1")
        assert contents(tmp_path / "2") == found
        same = {name for name in found if expected.get(name) == found[name]}
        assert not any(name.endswith("annotated.mp4") for name in same)
        assert any(name.endswith("faces.csv") for name in same), "only pictures are covered"

    @pytest.mark.slow
    def test_damage_and_sizes_that_change(self, tmp_path):
        """Predictions fail there, so segments are observed again; a joined stream has another size in its middle."""
        parts = [
            transport_stream(write_squares(tmp_path / f"{i}.mp4", 60, size=size))
            for i, size in enumerate([(128, 96), (160, 96)])
        ]
        whole = bytearray(b"".join(part.read_bytes() for part in parts))
        whole[len(whole) // 4 : len(whole) // 4 + 600] = bytes(600)
        video = tmp_path / "joined.ts"
        video.write_bytes(whole)
        for jobs in (1, 2):
            analyze([video], tmp_path / f"out{jobs}", jobs=jobs)
        assert contents(tmp_path / "out2") == contents(tmp_path / "out1")

    def test_what_can_be_read_in_order_only(self, tmp_path):
        video = write_film(tmp_path / "a.gif", [picture(index) for index in range(60)], "gif", pix_fmt="rgb8")
        progress = Noted()
        for jobs in (1, 2):
            analyze([video], tmp_path / f"out{jobs}", jobs=jobs, progress=progress, video=False)
        assert contents(tmp_path / "out2") == contents(tmp_path / "out1")
        assert progress.notes == ["a.gif is read in order, by one process: it has no second keyframe"]

    def test_a_picture(self, tmp_path):
        import cv2  # noqa: PLC0415

        cv2.imwrite(str(tmp_path / "a.png"), scenes(1)[0])
        (outcome,) = analyze([tmp_path / "a.png"], tmp_path / "out", jobs=2, video=False)
        assert outcome.summary.accounting.num_analyzed == 1


class TestGoingOn:
    def test_where_one_process_stopped(self, videos, expected, tmp_path):
        stop_after_segments(videos[0], tmp_path, 2)
        analyze(videos, tmp_path, jobs=2)
        assert contents(tmp_path) == expected

    @pytest.mark.slow
    def test_where_several_stopped(self, videos, expected, tmp_path):
        progress = WithPids(60, lambda batch: batch.stop())
        assert run_with(videos, tmp_path, progress) == []
        assert 0 <= progress.batch.num_frames_kept < NUM
        assert progress.batch.num_frames_kept % 24 == 0
        analyze(videos, tmp_path, jobs=1)
        assert contents(tmp_path) == expected

    @pytest.mark.slow
    def test_where_the_parent_was_killed(self, videos, expected, tmp_path):
        """Before, between and after the writes of several segments; each life goes on where the last one was."""
        for owner, name, num in (
            (SplitAnalysis, "_replay", 0),
            (Parts, "sync", 1),
            (Checkpoint, "save", 1),
            (SplitAnalysis, "_note_observed", 2),
            (VideoAnalysis, "finish", 0),
        ):
            pid = os.fork()
            if pid == 0:
                die_at(owner, name, num)
                analyze(videos, tmp_path, jobs=2)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, name
        analyze(videos, tmp_path, jobs=2)
        assert contents(tmp_path) == expected

    def test_no_process_stays(self, videos, tmp_path, monkeypatch):
        crews = []
        end = Crew.__exit__
        monkeypatch.setattr(Crew, "__exit__", lambda self, *args: (crews.append(self.pids()), end(self, *args))[1])
        run_with(videos, tmp_path, WithPids(24, lambda batch: batch.stop()))
        assert len(crews[0]) == 2
        for pid in crews[0]:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def die_at(owner, name, num):
    """Kill this process in the call of that number, after the call's work is done."""
    real, calls = getattr(owner, name), itertools.count()

    def deadly_call(*args, **settings):
        result = real(*args, **settings)
        if next(calls) == num:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly_call)


def kill_one(batch):
    os.kill(batch._current._crew.pids()[0], signal.SIGKILL)


class TestFailures:
    def test_a_worker_that_is_killed_is_started_again(self, videos, expected, tmp_path):
        progress = WithPids(24, kill_one)
        run_with(videos, tmp_path, progress)
        assert progress.num_acts == 1
        assert contents(tmp_path) == expected

    def test_a_worker_that_dies_twice(self, videos, tmp_path):
        outcomes = analyze(videos[2:], tmp_path, jobs=2, recipe=deadly)
        assert isinstance(outcomes[0].failure, EngineError)
        assert str(outcomes[0].failure).startswith("a worker process died twice (killed by signal 9) while it ")
        assert "Fix: fewer --jobs if memory is short" in str(outcomes[0].failure)

    def test_a_model_that_fails(self, videos, tmp_path):
        outcomes = analyze(videos[2:], tmp_path, jobs=2, recipe=failing)
        assert str(outcomes[0].failure) == "FakeEngine was told to fail at call 0"

    def test_a_video_that_fails_stops_no_other(self, videos, expected, tmp_path):
        (tmp_path / "broken.mp4").write_bytes(b"no video" * 99)
        first, second = analyze([tmp_path / "broken.mp4", videos[1]], tmp_path / "out", jobs=2)
        assert isinstance(first.failure, StreamError)
        found = contents(tmp_path / "out")
        assert all(found[name] == content for name, content in expected.items() if name.startswith("b/"))
        assert second.summary is not None

    def test_a_disk_that_fails(self, videos, tmp_path, monkeypatch):
        def fail(self, segment):
            raise OSError("disk")

        monkeypatch.setattr(Parts, "sync", fail)
        (outcome,) = analyze(videos[:1], tmp_path, jobs=2)
        assert "cannot analyze" in str(outcome.failure)


@contextmanager
def deadly(engine_file):
    class Deadly(SquareDetector):
        def detect(self, *args):
            os.kill(os.getpid(), signal.SIGKILL)

    yield Models(FakeEngine(), engine_file, Deadly, None, "squares")


@contextmanager
def failing(engine_file):
    yield Models(FakeEngine(fail_at_call=0), engine_file, SquareDetector, None, "squares")


def test_workers_end_with_their_parent(tmp_path):
    """As after a kill -9: the socket closes."""
    from functools import partial  # noqa: PLC0415

    from fer_deploy.analyze.jobs.child import WorkerChild  # noqa: PLC0415

    child = WorkerChild(partial(squares, tmp_path / "engine.onnx"))
    child.connection.close()
    deadline = time.monotonic() + 30
    while child._process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert child._process.returncode == 0
