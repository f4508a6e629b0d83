"""One palette for everything that is drawn."""

import re
from importlib.resources import files
from itertools import combinations

import cv2
import numpy as np
import pytest

from fer_deploy.analyze.report.stacks import colors_of
from fer_deploy.live.drawing import overlay
from fer_deploy.live.drawing.chart import color_of
from fer_deploy.live.drawing.palette import COLORS, UNSURE_COLOR, bgr_from_hex

ALL = (*COLORS, UNSURE_COLOR)
LABELS = tuple(f"label {number}" for number in range(10))


def luminance(bgr):
    """As WCAG has it, 0 to 1."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(bgr) / 255]
    return float(np.dot(linear, [0.0722, 0.7152, 0.2126]))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(color):
    return cv2.cvtColor(np.array([[bgr_from_hex(color)]], dtype=np.float32) / 255, cv2.COLOR_BGR2LAB)[0, 0]


def test_overlay_and_report_agree():
    in_report = colors_of(LABELS)
    assert [bgr_from_hex(in_report[label]) for label in LABELS] == [color_of(label, LABELS) for label in LABELS]


def test_the_live_page_agrees_on_unsure():
    script = files("fer_deploy.live.serve").joinpath("page/picture.js").read_text()
    assert re.search('UNSURE = "(.+?)"', script)[1] == UNSURE_COLOR


@pytest.mark.parametrize("color", ALL)
def test_ink_is_legible_on_it(color):
    assert contrast(overlay._INK, bgr_from_hex(color)) >= 4.5


@pytest.mark.parametrize("color", ALL)
@pytest.mark.parametrize("ground", [(255, 255, 255), (0x26, 0x1E, 0x19)], ids=["light", "dark"])
def test_differs_from_the_ground(color, ground):
    assert contrast(bgr_from_hex(color), ground) > 1.6


def test_all_differ():
    assert min(float(np.linalg.norm(lab(one) - lab(other))) for one, other in combinations(ALL, 2)) > 20
