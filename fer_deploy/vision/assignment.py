"""Pairs of least cost: who is who, over all pairs at once.

SciPy has the same, and loads for half a second; few faces need so little that Python does.
"""

import numpy as np
from numpy.typing import NDArray

_Matrix = NDArray[np.float64]


def cheapest_pairs(costs: _Matrix) -> list[tuple[int, int]]:
    """Return as many (row, column) as the shorter side has, none of them twice, whose costs have the least sum.

    Args:
        costs: (R, C), finite.
    """
    if costs.shape[0] > costs.shape[1]:
        return [(row, column) for column, row in cheapest_pairs(costs.T)]
    nearest = costs.argmin(axis=1).tolist()
    if len(set(nearest)) == len(nearest):  # nobody is contested
        return list(enumerate(nearest))
    pairing = _Pairing(costs)
    for row in range(len(costs)):
        pairing.add(row)
    return list(enumerate(pairing.column_of.tolist()))


class _Pairing:
    """The Hungarian method by shortest augmenting paths (Jonker and Volgenant, 1987); no more rows than columns."""

    def __init__(self, costs: _Matrix) -> None:
        num_rows, num_columns = costs.shape
        self._costs = costs
        self._row_prices, self._column_prices = np.zeros(num_rows), np.zeros(num_columns)
        self.column_of, self._row_of = np.full(num_rows, -1), np.full(num_columns, -1)

    def add(self, start: int) -> None:
        """Pair one more row; those before may get other columns."""
        lengths = np.full(len(self._row_of), np.inf)
        came_from = np.full(len(self._row_of), -1)
        is_done = np.zeros(len(self._row_of), dtype=bool)
        row, length = start, 0.0
        while row >= 0:
            through = length + self._costs[row] - self._row_prices[row] - self._column_prices
            is_shorter = ~is_done & (through < lengths)
            lengths[is_shorter], came_from[is_shorter] = through[is_shorter], row
            column = int(np.where(is_done, np.inf, lengths).argmin())
            length, is_done[column] = lengths[column], True
            row = int(self._row_of[column])
        self._reprice(start, lengths, is_done, length)
        while row != start:
            row = int(came_from[column])
            self._row_of[column] = row
            self.column_of[row], column = column, int(self.column_of[row])

    def _reprice(self, start: int, lengths: _Matrix, is_done: NDArray[np.bool_], length: float) -> None:
        """Keep every pair at its price: reduced costs stay at least 0, and those of the pairs 0."""
        gains = length - lengths[is_done]
        self._column_prices[is_done] -= gains
        rows = self._row_of[is_done]
        self._row_prices[rows[rows >= 0]] += gains[rows >= 0]
        self._row_prices[start] += length
