import numpy as np
import pytest

from fer_deploy.bench.statistics import percentile, ratio_interval


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 5), (90, 9), (99, 10), (100, 10)])
def test_a_percentile_is_one_of_the_values(percent, expected):
    assert percentile([*range(10, 0, -1)], percent) == expected


def test_an_outlier_reaches_p99_and_not_the_median():
    values = [1.0] * 97 + [50.0] * 3
    assert (percentile(values, 50), percentile(values, 90), percentile(values, 99)) == (1.0, 1.0, 50.0)


def test_load_that_hits_both_of_a_pair_cancels_out():
    load = np.random.default_rng(1).uniform(1, 9, 20)
    interval = ratio_interval(2 * load, load)
    assert interval.value == pytest.approx(2)
    assert interval.low == pytest.approx(2)
    assert interval.excludes(1)


def test_pairs_without_a_difference_give_an_interval_around_one():
    random = np.random.default_rng(2)
    interval = ratio_interval(random.uniform(0.9, 1.1, 30), random.uniform(0.9, 1.1, 30))
    assert interval.low < 1 < interval.high
    assert not interval.excludes(1)


def test_the_same_pairs_give_the_same_interval():
    assert ratio_interval([1, 2, 3], [1, 1, 1]) == ratio_interval([1, 2, 3], [1, 1, 1])


def test_a_higher_confidence_gives_wider_bounds():
    random = np.random.default_rng(3)
    pairs = random.uniform(0.5, 2, 25), random.uniform(0.5, 2, 25)
    narrow, wide = (ratio_interval(*pairs, confidence=share) for share in (0.5, 0.99))
    assert wide.low < narrow.low <= narrow.high < wide.high
