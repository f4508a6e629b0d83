"""Pair tracks with detections at the least total cost (linear assignment, solved by Jonker and Volgenant's method)."""

from typing import Final

import numpy as np
from lap import lapjvx
from numpy.typing import NDArray

_FORBIDDEN: Final = 1e6
"""Cost of a pair that is not allowed; a sum of allowed costs is far below."""


def cheapest_pairs(costs: NDArray[np.float64], is_allowed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return allowed pairs of rows and columns, each row and each column in at most one.

    There are as many pairs as possible, and of all choices with this number the one with the least total cost. Choices
    with the same total are equally good; which of them is returned is not specified.

    Args:
        costs: (R, C), R or C may be 0; of an allowed pair it is finite, not negative, and at most a few units.
        is_allowed: (R, C); the cost of a pair that is not allowed is ignored and may be infinite or NaN.
    """
    if not costs.size:
        return []
    rows, columns = lapjvx(np.where(is_allowed, costs, _FORBIDDEN), extend_cost=True, return_cost=False)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if is_allowed[row, column]]
