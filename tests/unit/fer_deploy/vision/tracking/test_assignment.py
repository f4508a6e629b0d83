"""The assignment equals SciPy's, which the runtime does not install."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fer_deploy.vision.tracking.assignment import cheapest_pairs

NUM_TRIALS = 400
FORBIDDEN = 1e6


def total(costs: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    return float(sum(costs[pair] for pair in pairs))


def pairs_of_scipy(costs: np.ndarray, is_allowed: np.ndarray) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(np.where(is_allowed, costs, FORBIDDEN))
    return [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if is_allowed[pair]]


@pytest.mark.parametrize("share_allowed", [1.0, 0.7, 0.2, 0.0])
@pytest.mark.parametrize("has_ties", [False, True])
def test_as_many_pairs_and_the_same_total_as_scipy(share_allowed: float, has_ties: bool):
    generator = np.random.default_rng(0)
    for _ in range(NUM_TRIALS):
        shape = tuple(generator.integers(1, 14, 2))
        costs = generator.integers(0, 4, shape).astype(float) if has_ties else 3 * generator.random(shape)
        is_allowed = generator.random(shape) < share_allowed
        pairs, wanted = cheapest_pairs(costs, is_allowed), pairs_of_scipy(costs, is_allowed)
        assert all(is_allowed[pair] for pair in pairs)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs) == len(wanted)
        assert total(costs, pairs) == pytest.approx(total(costs, wanted), abs=1e-6)
        if not has_ties and len(pairs) == min(shape):  # the best choice is unique
            assert sorted(pairs) == sorted(wanted)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (4, 0)])
def test_nothing_to_pair(shape: tuple[int, int]):
    assert cheapest_pairs(np.empty(shape), np.empty(shape, dtype=bool)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_a_single_row_or_column_takes_the_cheapest(shape: tuple[int, int]):
    costs = np.linspace(2, 1, shape[0] * shape[1]).reshape(shape)
    assert cheapest_pairs(costs, np.ones(shape, dtype=bool)) == [(shape[0] - 1, shape[1] - 1)]


@pytest.mark.parametrize("value", [np.inf, np.nan, -np.inf])
def test_the_cost_of_a_forbidden_pair_is_ignored(value: float):
    costs = np.array([[value, 1.0], [1.0, value], [value, value]])
    assert sorted(cheapest_pairs(costs, np.isfinite(costs))) == [(0, 1), (1, 0)]


def test_more_pairs_are_better_than_cheaper_ones():
    costs, is_allowed = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([[True, True], [True, False]])
    assert sorted(cheapest_pairs(costs, is_allowed)) == [(0, 1), (1, 0)]
