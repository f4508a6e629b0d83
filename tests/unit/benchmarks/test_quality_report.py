"""The report of quality.py: every point in its table and its panel, and the limits of the code in the chart."""

import numpy as np
import pytest
from harness.quality_report import PANELS, as_markdown, write_chart
from matplotlib.figure import Figure
from quality import SIDES, cut, degradations, flag_rows, pose_rows

from fer_deploy.vision.preprocess import CropConfig
from fer_deploy.vision.quality import FaceQuality, HeadPose, QualityFlag
from fer_deploy.vision.quality_measures import quality_of_face

IMAGES = np.random.default_rng(0).integers(0, 255, (3, 48, 48)).astype(np.uint8)
GOOD = FaceQuality(60.0, 9.0, 120.0, 40.0, 0.5, HeadPose(15.0, -5.0, 0.0), (0.0, 0.0, 0.0, 0.0), 0.9, True)
SMALL = FaceQuality(9.0, 9.0, 120.0, 40.0, 0.5, HeadPose(-70.0, 12.0, 0.0), (0.0, 0.0, 0.0, 0.0), 0.9, True)


@pytest.fixture
def result():
    points = [
        {
            "what": one.what,
            "amount": one.amount,
            "measure": one.measure,
            "value": 1.0 + number,
            "range": [1.0, 2.0],
            "accuracy": 0.8,
            "flag": str(one.flag),
            "flagged": 0.25,
        }
        for number, one in enumerate(degradations(IMAGES))
    ]
    is_right = np.array([True, False, True])
    return {
        "environment": dict.fromkeys(("hardware", "date", "python", "engine", "command"), "told"),
        "faces": 3,
        "all_faces": 3,
        "clean": 0.9,
        "points": points,
        "poses": pose_rows([GOOD, SMALL, None], is_right),
        "flags": flag_rows([GOOD, SMALL, None], is_right),
        "clips": [
            {
                "clip": "a.gif",
                "faces": 4,
                "flagged": 1,
                "flags": {"SMALL_FACE": 1, "NOISY": 0},
                "medians": {"size_px": 58.0},
            }
        ],
    }


def test_every_point_is_in_the_table_and_in_a_panel(result):
    text = as_markdown(result)
    kinds = {one["what"] for one in result["points"]} | {one["what"] for one in result["poses"]}
    assert kinds == {what for panel in PANELS for what in panel.whats}
    assert all(f"| {kind} |" in text for kind in kinds)
    assert "| a.gif | 4 | 1 | SMALL_FACE 1 | 58.00 |" in text


def test_flags_and_poses_of_faces_as_they_are(result):
    rows = {row["flag"]: (row["faces"], row["accuracy"]) for row in result["flags"]}
    assert rows["SMALL_FACE"] == rows["EXTREME_POSE"] == rows["any flag"] == (1, 0.0)
    assert rows["no flag"] == (2, 1.0)
    assert rows["not found by the detector"] == (1, 1.0)
    assert rows["NOISY"] == (0, None)
    yaws = [(row["range"], row["faces"]) for row in result["poses"] if row["what"] == "yaw"]
    assert yaws == [([10, 20], 1), ([60, 90], 1)]


def test_the_chart_has_the_limits(result, tmp_path, monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **how: figures.append(self) or save(self, *args, **how))
    write_chart(result, tmp_path / "a.png")
    panels = figures[0].axes
    assert [panel.get_title() for panel in panels] == [panel.title for panel in PANELS]
    for axes, panel in zip(panels, PANELS, strict=True):
        drawn = {float(line.get_xdata()[0]) for line in axes.lines if line.get_linestyle() == "--"}
        assert drawn == set(panel.limits)


@pytest.mark.parametrize("side", SIDES)
def test_a_cut_is_what_it_says(side):
    """The share that the detection's place means is that of the pixels that repeat."""
    place = SIDES[side]
    for one in degradations(IMAGES):
        if one.what == f"cut {side}":
            found = quality_of_face(one.images[0], one.detection, (320, 320), CropConfig()).cut_off
            assert found[place] == pytest.approx(one.amount, abs=0.02)
            assert sum(found) == found[place]
    edge = [
        cut(IMAGES, place, 5)[:, :, :6],
        cut(IMAGES, place, 5)[:, :6],
        cut(IMAGES, place, 5)[:, :, -6:],
        cut(IMAGES, place, 5)[:, -6:],
    ][place]
    assert (np.ptp(edge.astype(int), axis=2 if place in (0, 2) else 1) == 0).all()


def test_the_flag_of_a_direction_meets_what_goes_too_far():
    worst = {one.what: one for one in degradations(IMAGES)}
    for what in ("size", "tilt", "cut below", "cut left", "dark", "bright"):
        one = worst[what]
        assert one.flag in quality_of_face(one.images[0], one.detection, (320, 320), CropConfig()).flags
    assert worst["size"].flag == QualityFlag.SMALL_FACE
