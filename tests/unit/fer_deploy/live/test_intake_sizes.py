"""Frames whose size changes."""

import threading

import pytest
from unit.fer_deploy.live.intake_cases import frame, in_thread, indices

from fer_deploy.live import intake as module
from fer_deploy.live.intake import Intake


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
