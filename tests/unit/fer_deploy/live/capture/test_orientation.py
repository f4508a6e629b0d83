"""Display matrices: eight ways, and those between them."""

import numpy as np
import pytest

from fer_deploy.live.capture.orientation import UPRIGHT, Orientation

PICTURE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
MATRICES = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_each_pixel_goes_where_the_matrix_leads(matrix):
    a, b, c, d = (value << 16 for value in matrix)
    upright = Orientation.from_matrix(a, b, c, d).upright(PICTURE)
    a, b, c, d = matrix
    places = {(x, y): (a * x + c * y, b * x + d * y) for y in range(2) for x in range(4)}
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    for (x, y), (to_x, to_y) in places.items():
        assert (upright[to_y - top, to_x - left] == PICTURE[y, x]).all()
    assert Orientation.from_matrix(a, b, c, d).upright_size(4, 2) == upright.shape[1::-1]


@pytest.mark.parametrize("degrees", [3, -40, 80, 100, 170, -95])
def test_angles_between_are_rounded_to_quarter_turns(degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b, c, d = (round(value * 65536) for value in (cos, sin, -sin, cos))
    quarter = round(degrees / 90) * 90
    expected = [round(value) for value in (np.cos(np.radians(quarter)), np.sin(np.radians(quarter)))]
    assert Orientation.from_matrix(a, b, c, d) == Orientation.from_matrix(
        expected[0], expected[1], -expected[1], expected[0]
    )


def test_upright_is_a_view():
    assert np.shares_memory(UPRIGHT.upright(PICTURE), PICTURE)
    assert (UPRIGHT.upright(PICTURE) == PICTURE).all()
