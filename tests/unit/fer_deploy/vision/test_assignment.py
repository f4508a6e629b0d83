import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest

from fer_deploy.vision.assignment import cheapest_pairs


def sum_of(costs: np.ndarray, pairs: list[tuple[int, int]]) -> float:
    return float(sum(costs[pair] for pair in pairs))


def least_sum(costs: np.ndarray) -> float:
    if costs.shape[0] > costs.shape[1]:
        costs = costs.T
    return min(sum_of(costs, list(enumerate(columns))) for columns in permutations(range(costs.shape[1]), len(costs)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 2), (3, 5), (5, 3), (6, 6)])
@pytest.mark.parametrize("make", [
    lambda rng, shape: rng.random(shape),
    lambda rng, shape: rng.integers(0, 3, shape).astype(float),  # ties
    lambda rng, shape: np.where(rng.random(shape) < 0.5, 1e6, rng.random(shape)),  # most are out of reach
    lambda rng, shape: rng.random(shape) + np.linspace(0, 9, shape[1]),  # all want the same
], ids=["any", "ties", "out of reach", "contested"])  # fmt: skip
def test_no_other_pairs_cost_less(shape, make):
    rng = np.random.default_rng(7)
    for _ in range(20):
        costs = make(rng, shape)
        pairs = cheapest_pairs(costs)
        rows, columns = zip(*pairs, strict=True)
        assert len(set(rows)) == len(set(columns)) == len(pairs) == min(shape)
        assert sum_of(costs, pairs) == pytest.approx(least_sum(costs), rel=1e-12, abs=1e-9)


def test_crowds_are_paired_as_scipy_does():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(8)
    for shape in [(30, 30), (20, 45), (60, 40)]:
        costs = rng.random(shape) + rng.random(shape[1])
        expected = optimize.linear_sum_assignment(costs)
        assert sorted(cheapest_pairs(costs)) == list(zip(*map(np.ndarray.tolist, expected), strict=True))


def test_the_live_loop_starts_without_scipy():
    program = "import sys; import fer_deploy.cli.live, fer_deploy.live.pipeline; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
