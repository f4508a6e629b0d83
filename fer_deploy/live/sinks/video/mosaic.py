"""Mosaic: combine the latest pictures of several sources in one."""

import math

import numpy as np

from fer_deploy.live.sinks.base import Picture
from fer_deploy.live.sinks.video.picture_fit import fit_picture


class Mosaic:
    """A grid with one cell for each source, black until its first picture. Cells have the size of the first picture."""

    def __init__(self, num_sources: int) -> None:
        """Create the grid, with as many columns as rows, or one more."""
        self._num_sources = num_sources
        self._num_columns = math.ceil(math.sqrt(num_sources))
        self._canvas: Picture | None = None
        self._cell = (0, 0)

    def show(self, source: int, picture: Picture) -> Picture:
        """Draw a picture into its source's cell and return the grid; with one source, return the picture itself."""
        if self._num_sources == 1:
            return picture
        if self._canvas is None:
            height, width = picture.shape[:2]
            self._cell = (width, height)
            num_rows = math.ceil(self._num_sources / self._num_columns)
            self._canvas = np.zeros((num_rows * height, self._num_columns * width, 3), dtype=np.uint8)
        row, column = divmod(source, self._num_columns)
        width, height = self._cell
        left, top = column * width, row * height
        self._canvas[top : top + height, left : left + width] = fit_picture(picture, self._cell)
        return self._canvas
