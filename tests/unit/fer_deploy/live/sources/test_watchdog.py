import numpy as np
import pytest

from fer_deploy.live.sources import watchdog
from fer_deploy.live.sources.watchdog import Backoff, FrozenWatch


def picture(seed):
    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)


class TestFrozenWatch:
    def test_counts_how_long_a_picture_stays(self):
        watch = FrozenWatch()
        assert [watch.still_s(picture(0), t) for t in (10.0, 11.0, 14.5)] == [0.0, 1.0, 4.5]
        assert watch.still_s(picture(1), 15.0) == 0.0
        assert watch.still_s(picture(1), 17.0) == 2.0

    @pytest.mark.parametrize("row", [0, 1, 15, 16, 47])
    def test_one_pixel_is_a_change(self, row):
        watch = FrozenWatch()
        watch.still_s(picture(0), 0.0)
        changed = picture(0)
        changed[row, 5, 1] ^= 1
        assert watch.still_s(changed, 5.0) == 0.0

    def test_another_size_is_a_change(self):
        watch = FrozenWatch()
        watch.still_s(np.zeros((48, 64, 3), np.uint8), 0.0)
        assert watch.still_s(np.zeros((24, 32, 3), np.uint8), 5.0) == 0.0


class TestBackoff:
    @pytest.fixture
    def longest(self, monkeypatch):
        """Delays are as long as they can be."""
        monkeypatch.setattr(watchdog.random, "uniform", lambda low, high: high if low == 0 else None)

    @pytest.mark.usefixtures("longest")
    def test_doubles_up_to_a_limit(self):
        backoff = Backoff()
        assert [backoff.delay_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        assert backoff.num_failures == 9

    def test_jitter_is_full(self):
        delays = [Backoff().delay_s() for _ in range(400)]
        assert 0 <= min(delays) < 0.1
        assert 0.4 < max(delays) <= 0.5

    @pytest.mark.usefixtures("longest")
    def test_begins_anew_after_a_good_while(self):
        backoff = Backoff()
        assert [backoff.delay_s() for _ in range(3)] == [0.5, 1, 2]
        backoff.works(100.0)
        backoff.works(100.0 + watchdog.GOOD_S - 0.1)
        assert backoff.delay_s() == 4
        backoff.works(200.0)
        backoff.works(200.0 + watchdog.GOOD_S)
        assert backoff.delay_s() == 0.5

    def test_gives_up(self):
        backoff = Backoff(max_failures=2)
        assert [backoff.delay_s() is None for _ in range(3)] == [False, False, True]
        assert Backoff(max_failures=0).delay_s() is None
