import threading

import numpy as np
import pytest

from fer_deploy.errors import ConfigError
from fer_deploy.live import intake as module
from fer_deploy.live.intake import CHUNK_FRAMES, Intake
from fer_deploy.vision.types import Frame

GUARD_S = 10


def frame(index: int, *, shape=(4, 6, 3)) -> Frame:
    return Frame(np.zeros(shape, dtype=np.uint8), index, index / 10, index)


def indices(chunk) -> list[int]:
    return [f.index for f in chunk.frames]


def in_thread(body):
    results = []
    thread = threading.Thread(target=lambda: results.append(body()))
    thread.start()

    def join():
        thread.join(GUARD_S)
        assert results, "the waiter did not wake"
        return results[0]

    return join


class TestLive:
    def test_the_newest_frame_wins_and_the_others_are_counted(self):
        intake = Intake([True])
        assert all(intake.put(0, frame(i)) for i in range(5))
        assert indices(intake.next_chunk()) == [4]
        assert intake.num_dropped(0) == 4

    def test_one_frame_a_chunk_whatever_the_multiple(self):
        intake = Intake([True], multiple=3)
        intake.put(0, frame(0))
        assert indices(intake.next_chunk()) == [0]

    def test_a_live_source_never_waits_for_a_recording(self):
        intake = Intake([True, False])
        for i in range(2 * CHUNK_FRAMES):
            intake.put(1, frame(i))
        assert intake.put(0, frame(0))
        assert intake.put(0, frame(1))


class TestRecording:
    def test_nothing_is_lost_and_chunks_are_whole(self):
        intake = Intake([False])

        def capture():
            for i in range(10):
                assert intake.put(0, frame(i))
            intake.finish(0)

        join = in_thread(capture)
        chunks = [indices(chunk) for chunk in iter(intake.next_chunk, None)]
        join()
        assert [i for chunk in chunks for i in chunk] == list(range(10))
        assert [len(chunk) for chunk in chunks] == [4, 4, 2]
        assert intake.num_dropped(0) == 0

    @pytest.mark.parametrize(("multiple", "sizes"), [(3, [3, 3, 3, 1]), (5, [5, 5]), (2, [4, 4, 2])])
    def test_chunks_have_a_multiple_of_frames(self, multiple, sizes):
        intake = Intake([False], multiple=multiple)
        join = in_thread(lambda: [intake.put(0, frame(i)) for i in range(10)] and intake.finish(0))
        assert [len(chunk.frames) for chunk in iter(intake.next_chunk, None)] == sizes
        join()

    def test_large_frames_come_in_smaller_chunks(self, monkeypatch):
        monkeypatch.setattr(module, "CHUNK_BYTES", 200)
        intake = Intake([False])
        join = in_thread(lambda: [intake.put(0, frame(i)) for i in range(4)] and intake.finish(0))  # 72 bytes each
        assert [len(chunk.frames) for chunk in iter(intake.next_chunk, None)] == [2, 2]
        join()

    def test_capture_waits_while_the_lane_is_full(self):
        intake = Intake([False])
        for i in range(2 * CHUNK_FRAMES):
            intake.put(0, frame(i))
        passed = threading.Event()
        join = in_thread(lambda: (intake.put(0, frame(99)), passed.set())[0])
        assert not passed.wait(0.05)
        intake.next_chunk()
        assert join() is True

    def test_as_much_waits_as_a_chunk_and_what_is_handed_over_at_once(self):
        intake = Intake([False], multiple=100)
        for i in range(100 + CHUNK_FRAMES):
            intake.put(0, frame(i))
        passed = threading.Event()
        join = in_thread(lambda: (intake.put(0, frame(99)), passed.set())[0])
        assert not passed.wait(0.05)
        assert len(intake.next_chunk().frames) == 100
        assert join() is True

    def test_chunk_that_would_be_too_large_is_refused(self, monkeypatch):
        monkeypatch.setattr(module, "HELD_BYTES", 2**21)
        intake = Intake([False], multiple=100)
        for i in range(3):
            intake.put(0, frame(i, shape=(4, 6, 3)))
        said = r"detect_every is 100, .* frames of 80x60 take 0\.0 GiB, expected .*Fix: --detect-every 72,"
        with pytest.raises(ConfigError, match=said):
            intake.put(0, frame(3, shape=(60, 80, 3)))

    def test_a_single_frame_is_never_too_large(self, monkeypatch):
        monkeypatch.setattr(module, "HELD_BYTES", 20)
        monkeypatch.setattr(module, "CHUNK_BYTES", 10)
        assert Intake([False]).put(0, frame(0))

    def test_live_any_size_will_do(self, monkeypatch):
        monkeypatch.setattr(module, "HELD_BYTES", 20)
        assert Intake([True], multiple=100).put(0, frame(0))


class TestSizes:
    SMALL, LARGE = (4, 6, 3), (8, 6, 3)  # 72 and 144 bytes

    @pytest.fixture(autouse=True)
    def limit(self, monkeypatch):
        monkeypatch.setattr(module, "CHUNK_BYTES", 4 * 72)  # four small ones, two large ones

    def chunks(self, shapes, *, is_late, multiple=1):
        """Put frames of these shapes; the worker takes them as they come, or late: when no further one fits in."""
        intake, filled = Intake([False], multiple=multiple), threading.Event()

        def capture():
            for i, shape in enumerate(shapes):
                intake.put(0, frame(i, shape=shape))
            intake.finish(0)

        join = in_thread(lambda: (capture(), filled.set()))
        if is_late:
            filled.wait(0.05)
        got = [indices(chunk) for chunk in iter(intake.next_chunk, None)]
        join()
        return got

    @pytest.mark.parametrize("is_late", [False, True])
    @pytest.mark.parametrize(
        ("num_small", "num_large", "sizes"),
        [(8, 1, [4, 4, 1]), (3, 1, [3, 1]), (7, 3, [4, 3, 2, 1]), (1, 4, [1, 2, 2])],
    )
    def test_another_size_begins_a_chunk_whenever_it_is_taken(self, num_small, num_large, sizes, is_late):
        got = self.chunks([self.SMALL] * num_small + [self.LARGE] * num_large, is_late=is_late)
        assert [len(chunk) for chunk in got] == sizes
        assert [i for chunk in got for i in chunk] == list(range(num_small + num_large))

    def test_back_and_forth(self):
        got = self.chunks([self.LARGE, self.SMALL, self.LARGE, self.LARGE, self.SMALL], is_late=True)
        assert got == [[0], [1], [2, 3], [4]]

    def test_turned_pictures_are_of_another_size(self):
        assert self.chunks([(4, 6, 3)] * 2 + [(6, 4, 3)] * 2, is_late=True) == [[0, 1], [2, 3]]

    def test_with_a_multiple(self):
        got = self.chunks([self.SMALL] * 5 + [self.LARGE] * 4, is_late=True, multiple=3)
        assert [len(chunk) for chunk in got] == [3, 2, 3, 1]

    def test_waiting_for_room_leaves_nothing_that_cannot_be_taken(self):
        """Three small ones that wait are no whole chunk, and more than a large one is allowed to wait behind."""
        assert self.chunks([self.SMALL] * 3 + [(40, 60, 3)] * 2, is_late=True) == [[0, 1, 2], [3], [4]]


class TestTickets:
    def test_each_source_counts_its_own_and_all_have_their_turn(self):
        intake = Intake([False, False])
        for source in (0, 1):
            for i in range(8):
                intake.put(source, frame(i))
        got = [intake.next_chunk() for _ in range(4)]
        assert [(chunk.source, chunk.ticket) for chunk in got] == [(0, 0), (1, 0), (0, 1), (1, 1)]


class TestEnds:
    @pytest.mark.parametrize("is_live", [False, True])
    def test_max_frames(self, is_live):
        intake = Intake([is_live], max_frames=3)
        intake.put(0, frame(0))
        if not is_live:
            for i in range(1, 6):
                intake.put(0, frame(i))
            assert indices(intake.next_chunk()) == [0, 1, 2]
        else:
            for i in range(3):
                assert indices(intake.next_chunk()) == [i]
                intake.put(0, frame(i + 1))
        assert intake.next_chunk() is None
        assert intake.put(0, frame(9)) is False

    def test_all_sources_finished(self):
        intake = Intake([False, True])
        intake.put(0, frame(0))
        intake.finish(0)
        assert indices(intake.next_chunk()) == [0]
        join = in_thread(intake.next_chunk)
        intake.finish(1)
        assert join() is None

    @pytest.mark.parametrize("wait", ["take", "put"])
    def test_close_wakes(self, wait):
        intake = Intake([False])
        if wait == "put":
            for i in range(2 * CHUNK_FRAMES):
                intake.put(0, frame(i))
        join = in_thread(intake.next_chunk if wait == "take" else lambda: intake.put(0, frame(99)))
        intake.close()
        assert not join()
        assert intake.next_chunk() is None


def test_nothing_is_lost_or_doubled_among_workers():
    intake = Intake([False, False], multiple=2)
    captures = [
        in_thread(lambda s=s: [intake.put(s, frame(i)) for i in range(200)] and intake.finish(s)) for s in (0, 1)
    ]
    workers = [in_thread(lambda: list(iter(intake.next_chunk, None))) for _ in range(3)]
    chunks = [chunk for join in workers for chunk in join()]
    for join in captures:
        join()
    for source in (0, 1):
        mine = sorted((chunk for chunk in chunks if chunk.source == source), key=lambda chunk: chunk.ticket)
        assert [i for chunk in mine for i in indices(chunk)] == list(range(200))


class TestOneBudget:
    """What recordings hold is bounded for the process, not for each worker or source."""

    SHAPE = (10, 10, 3)  # 300 bytes

    def held_at_most(self, monkeypatch, *, num_workers, num_sources, multiple, limit):
        """Let workers keep each chunk for a while; return how many frames there were at most, and in all."""
        monkeypatch.setattr(module, "HELD_BYTES", limit)
        intake = Intake([False] * num_sources, multiple=multiple)
        lock, alive, most, total = threading.Lock(), [0], [0], [0]

        def capture(source):
            for i in range(5 * multiple):
                made = frame(i, shape=self.SHAPE)
                assert intake.put(source, made)
                with lock:
                    alive[0] += 1
                    most[0] = max(most[0], alive[0])
            intake.finish(source)

        def work():
            while (chunk := intake.next_chunk()) is not None:
                barrier.wait(0.01)
                with lock:
                    alive[0] -= len(chunk.frames)
                    total[0] += len(chunk.frames)
                intake.give_back(chunk)
            return True

        barrier = threading.Event()
        joins = [in_thread(lambda s=s: capture(s) or True) for s in range(num_sources)]
        joins += [in_thread(work) for _ in range(num_workers)]
        assert all(join() for join in joins)
        assert total[0] == num_sources * 5 * multiple
        return most[0]

    @pytest.mark.parametrize("num_workers", [1, 4, 16])
    @pytest.mark.parametrize("num_sources", [1, 3])
    def test_whatever_the_number_of_workers(self, monkeypatch, num_workers, num_sources):
        limit = 300 * 12 * (num_sources + 1)
        most = self.held_at_most(
            monkeypatch, num_workers=num_workers, num_sources=num_sources, multiple=12, limit=limit
        )
        assert most * 300 <= limit

    def test_without_the_limit_more_workers_hold_more(self, monkeypatch):
        """So that the test above can fail."""
        most = self.held_at_most(monkeypatch, num_workers=16, num_sources=3, multiple=12, limit=2**40)
        assert most > 12 * 4

    def test_each_source_has_its_share(self, monkeypatch):
        monkeypatch.setattr(module, "HELD_BYTES", 300 * 100)
        assert Intake([False], multiple=50).put(0, frame(0, shape=self.SHAPE))
        intake = Intake([False, False], multiple=50)
        with pytest.raises(ConfigError, match="Fix: --detect-every 33, or less"):
            intake.put(0, frame(0, shape=self.SHAPE))

    def test_a_chunk_of_another_size_than_the_one_before_says_so(self):
        intake, heights = Intake([False]), [4, 4, 4, 4, 4, 4, 5, 5, 4]

        def capture():
            for i, height in enumerate(heights):
                intake.put(0, frame(i, shape=(height, 6, 3)))
            intake.finish(0)

        join = in_thread(capture)
        said = [(len(chunk.frames), chunk.is_resized) for chunk in iter(intake.next_chunk, None)]
        join()
        assert said == [(4, False), (2, False), (2, True), (1, True)]

    def test_live_too(self):
        intake = Intake([True])
        said = []
        for width in (6, 6, 8, 8, 6):
            intake.put(0, frame(0, shape=(4, width, 3)))
            said.append(intake.next_chunk().is_resized)
        assert said == [False, False, True, False, True]
