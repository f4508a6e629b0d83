"""Predictable YuNet files, and pictures for them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from unit.fer_deploy.detectors.white_yunet import white_square_graph, with_fixed_size


@pytest.fixture(scope="session")
def white_yunet(tmp_path_factory) -> Path:
    """Its ONNX file; height and width are free."""
    model = helper.make_model(white_square_graph(), opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.checker.check_model(model)
    path = tmp_path_factory.mktemp("yunet") / "white.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def fixed_yunet(tmp_path_factory, white_yunet) -> Path:
    """The same for 64 x 64 only, as the Zoo's file of 2023 is for 640 x 640."""
    path = tmp_path_factory.mktemp("yunet") / "fixed.onnx"
    onnx.save(with_fixed_size(onnx.load(white_yunet), 64), path)
    return path


@pytest.fixture
def white_square():
    """Return a function that draws white squares x, y, side on black (height, width)."""

    def draw(*squares: tuple[int, int, int], size: tuple[int, int] = (96, 128)) -> np.ndarray:
        frame = np.zeros((*size, 3), dtype=np.uint8)
        for x, y, side in squares:
            frame[y : y + side, x : x + side] = 255
        return frame

    return draw
