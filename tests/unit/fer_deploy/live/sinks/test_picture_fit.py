"""A picture fitted into the size of a recording."""

import numpy as np
import pytest

from fer_deploy.live.sinks.video.picture_fit import fit_picture


def picture_of(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 120, dtype=np.uint8)


class TestFitPicture:
    def test_same_size_is_left_alone(self):
        picture = picture_of(20, 10)
        assert fit_picture(picture, (20, 10)) is picture

    @pytest.mark.parametrize("size", [(20, 10), (10, 20), (7, 3), (1, 500), (500, 1)])
    def test_fills_one_side_and_centers(self, size):
        fitted = fit_picture(picture_of(*size), (40, 40))
        assert fitted.shape == (40, 40, 3)
        rows, columns = fitted.any(axis=(1, 2)), fitted.any(axis=(0, 2))
        assert rows.all() or columns.all()
        for mask in (rows, columns):
            assert abs(int(mask.argmax()) - int(mask[::-1].argmax())) <= 1, "centered"
        assert set(np.unique(fitted)) <= {0, 120}
