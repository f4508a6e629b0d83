"""The heat maps of the export's report."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fer_deploy.export import report_plots
from fer_deploy.vision.palette import CHANGE_MAP

AGREEMENTS = [[100.0, 97.1, 90.0], [85.0, 60.0, 30.5]]


def luminance(color) -> float:
    """As WCAG has it, 0 to 1."""
    rgb = np.array(to_rgb(color))
    return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("colors", "ends"), [(CHANGE_MAP, (-10, 10)), (report_plots._LOSS_MAP, (85, 100))], ids=["changes", "agreement"]
)
def test_letters_are_legible_on_every_shade(colors, ends):
    values = [list(np.linspace(*ends, 41))]
    axis = Figure().subplots()
    report_plots._draw_heat_map(axis, values, "{:.1f}".format, colors, ends)
    image = axis.images[0]
    inks = [text.get_color() for text in axis.texts]
    assert len(inks) == 41
    assert (
        min(contrast(ink, image.cmap(image.norm(value))[:3]) for ink, value in zip(inks, values[0], strict=True)) > 4.0
    )


def test_the_scale_reaches_to_the_worst_slice_and_rows_say_how_many_faces():
    def entry(name, column):
        parts = [{"slice": kind, "agreement": row[column] / 100} for kind, row in zip("ab", AGREEMENTS, strict=True)]
        return {"name": name, "comparison": {"slices": parts}}

    sliced = [entry(f"{column}.onnx", column) for column in range(3)]
    axis = Figure().subplots()
    report_plots._draw_slices(
        axis, sliced, {"slices": [{"slice": "a", "num_faces": 1234}, {"slice": "b", "num_faces": 7}]}
    )
    assert axis.images[0].get_clim() == (30.5, 100.0)
    assert [text.get_text() for text in axis.texts] == ["100.0", "97.1", "90.0", "85.0", "60.0", "30.5"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a (1,234 faces)", "b (7 faces)"]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.onnx", "1.onnx", "2.onnx"]


def test_a_change_that_is_rounded_to_zero_has_no_sign():
    change = {"accuracy": -0.004, "recall": {"happy": -0.04, "sad": 0.04, "fear": 2.25, "anger": -1.06}}
    entry = {"name": "a.onnx", "comparison": {"change": change, "scores": {"accuracy": 84.1}, "breaches": []}}
    accuracy, recall = Figure().subplots(1, 2)
    report_plots._draw_recall(recall, [entry])
    assert [text.get_text() for text in recall.texts] == ["0.0", "0.0", "+2.2", "-1.1"]
    content = {"max_accuracy_drop": 0.3, "reference": {"scores": {"accuracy": 84.1}}}
    report_plots._draw_accuracy(accuracy, [entry], content)
    assert [text.get_text() for text in accuracy.texts] == [" 84.10 % (0.00)"]
