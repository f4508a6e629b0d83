"""One palette for everything that is drawn, in both packages."""

import re
from importlib.resources import files
from itertools import combinations

import cv2
import numpy as np
import pytest

from fer_deploy.analyze.report.stacks import colors_of
from fer_deploy.live.drawing import overlay
from fer_deploy.live.drawing.chart import color_of
from fer_deploy.vision import palette
from fer_deploy.vision.palette import COLORS, INK, UNREADABLE_COLOR, UNSURE_COLOR, UNSURE_INK, bgr_from_hex, ink_on
from fer_deploy.vision.types import UNREADABLE
from fer_train.evaluation import palette as training_palette

ALL = (*COLORS, UNSURE_COLOR, UNREADABLE_COLOR)
LABELS = tuple(f"label {number}" for number in range(10))
SIGHTS = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What each kind of eye sees of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1."""


def linear_rgb(color):
    rgb = np.array(bgr_from_hex(color)[::-1]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(color):
    """As WCAG has it, 0 to 1."""
    return float(linear_rgb(color) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def lab(color, sight):
    linear = np.clip(SIGHTS[sight] @ linear_rgb(color), 0, 1)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(rgb[None, None].astype(np.float32), cv2.COLOR_RGB2LAB)[0, 0]


def least_difference(colors, sight):
    return min(float(np.linalg.norm(lab(one, sight) - lab(other, sight))) for one, other in combinations(colors, 2))


def constants(module):
    return {name: value for name, value in vars(module).items() if name.isupper()}


def test_both_packages_have_the_same():
    assert constants(training_palette) == constants(palette)
    assert len(constants(palette)) == 10


def test_overlay_and_report_agree():
    in_report = colors_of(LABELS)
    assert [bgr_from_hex(in_report[label]) for label in LABELS] == [color_of(label, LABELS) for label in LABELS]
    assert in_report[UNREADABLE] == UNREADABLE_COLOR
    assert bgr_from_hex(UNSURE_COLOR) == overlay._UNSURE
    assert bgr_from_hex(UNREADABLE_COLOR) == overlay._UNREADABLE


def test_the_live_page_agrees_on_what_is_no_emotion():
    script = files("fer_deploy.live.serve").joinpath("page/picture.js").read_text()
    assert re.search('UNSURE = "(.+?)"', script)[1] == UNSURE_COLOR
    assert re.search('UNREADABLE = "(.+?)"', script)[1] == UNREADABLE_COLOR
    assert re.search('[^_]INK = "(.+?)"', script)[1] == INK
    assert re.search('UNSURE_INK = "(.+?)"', script)[1] == UNSURE_INK
    style = files("fer_deploy.live.serve").joinpath("page/page.css").read_text()
    assert re.search(r"\.swatch {[^}]*background: (.+?);", style)[1] == UNSURE_COLOR
    assert re.search(r"\.swatch\.unreadable {[^}]*background: (.+?);", style)[1] == UNREADABLE_COLOR


@pytest.mark.parametrize("color", ALL)
def test_ink_is_legible_on_it(color):
    assert contrast(ink_on(color), color) >= 4.5


@pytest.mark.parametrize("color", ALL)
@pytest.mark.parametrize("ground", ["#ffffff", "#191e26"], ids=["light", "dark"])
def test_differs_from_the_ground(color, ground):
    assert contrast(color, ground) > 1.55


@pytest.mark.parametrize(("sight", "least"), [(sight, 34 if sight == "all cones" else 18) for sight in SIGHTS])
def test_all_differ_in_every_kind_of_color_vision(sight, least):
    assert least_difference(ALL, sight) > least


@pytest.mark.parametrize("sight", SIGHTS)
def test_neutral_and_unsure_differ_most_clearly(sight):
    assert least_difference((COLORS[6], UNSURE_COLOR), sight) > 30


@pytest.mark.parametrize("sight", SIGHTS)
def test_good_bad_and_plain_differ(sight):
    assert least_difference((palette.GOOD_COLOR, palette.BAD_COLOR, palette.PLAIN_COLOR), sight) > 25
