"""One budget of memory for several intakes."""

import threading

import pytest
from unit.fer_deploy.live.intake_cases import frame, in_thread

from fer_deploy.errors import ConfigError
from fer_deploy.live import intake as module
from fer_deploy.live.intake import Intake


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
