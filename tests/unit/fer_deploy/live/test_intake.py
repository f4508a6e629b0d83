import threading

import pytest
from unit.fer_deploy.live.intake_cases import frame, in_thread, indices

from fer_deploy.errors import ConfigError
from fer_deploy.live import intake as module
from fer_deploy.live.intake import CHUNK_FRAMES, Intake


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
