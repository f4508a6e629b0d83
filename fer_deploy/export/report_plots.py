"""Plot the report: accuracy, recall and slices by artifact, and the cost of each layer in INT8."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from fer_deploy.export.verify.slice_report import agreement_of, compared_entries
from fer_deploy.vision.palette import BAD_COLOR, CHANGE_MAP, GOOD_COLOR, PLAIN_COLOR

_DPI = 110
_ROW_INCHES = 0.26
_SMALL, _MEDIUM = 9, 10
"""Font sizes in points: at the axes and in cells, and of titles."""
_WORST_AGREEMENT = 85.0
"""Percentage at the end of the heat map's scale, unless a slice is worse."""
_MOST_NAMES_IN_LINE = 4
"""Largest number of columns of the heat map with names in one line."""
_LOSS_MAP = LinearSegmentedColormap.from_list("loss", [BAD_COLOR, "#ffffff"])


def report_png(content: dict[str, Any]) -> bytes:
    """Return the plots of a report on labelled faces as PNG."""
    quantized = [entry for entry in content["artifacts"] if entry["quantization"]]
    entries = [entry for entry in [*content["artifacts"], *content["plans"]] if entry["comparison"]]
    sliced = compared_entries(content)
    num_layers = max((len(entry["quantization"]["layer_costs"]) for entry in quantized), default=0)
    heights = [max(3.2, 1.4 + _ROW_INCHES * len(entries))]
    heights += [1.6 + _ROW_INCHES * len(content["slices"])] if sliced else []
    heights += [1.0 + _ROW_INCHES * num_layers] if quantized else []
    figure = Figure(figsize=(11, sum(heights) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    upper, *lower = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    figure.suptitle(f"{content['checkpoint']['name']} on {content['reference']['faces']}")
    left, right = upper.subplots(1, 2)
    _draw_accuracy(left, entries, content)
    _draw_recall(right, entries)
    if sliced:
        _draw_slices(lower[0].subplots(1, 1), sliced, content)
    if quantized:
        for axis, entry in zip(lower[-1].subplots(1, len(quantized), squeeze=False)[0], quantized, strict=True):
            _draw_costs(axis, entry)
    png = io.BytesIO()
    figure.savefig(png, dpi=_DPI, format="png")
    return png.getvalue()


def _draw_accuracy(axis: Any, entries: list[dict[str, Any]], content: dict[str, Any]) -> None:
    changes = [entry["comparison"]["change"]["accuracy"] for entry in entries]
    colors = [BAD_COLOR if entry["comparison"]["breaches"] else GOOD_COLOR for entry in entries]
    axis.barh([entry["name"] for entry in entries], changes, color=colors)
    for row, (entry, change) in enumerate(zip(entries, changes, strict=True)):
        accuracy = entry["comparison"]["scores"]["accuracy"]
        axis.annotate(f" {accuracy:.2f} % ({_signed(change, 2)})", (max(change, 0), row), va="center", fontsize=_SMALL)
    budget = -content["max_accuracy_drop"]
    axis.axvline(budget, color=BAD_COLOR, linestyle="--", linewidth=1)
    low, high = min([budget, *changes]), max([0.0, *changes])
    span = max(high - low, 0.1)
    axis.set_xlim(low - 0.1 * span, high + 0.9 * span)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.invert_yaxis()
    axis.tick_params(labelsize=_SMALL)
    reference = content["reference"]["scores"]["accuracy"]
    axis.set_title(f"accuracy, change in points from PyTorch's {reference:.2f} %", fontsize=_MEDIUM)
    axis.set_xlabel("dashed: the drop that INT8 may have", fontsize=_SMALL)


def _draw_recall(axis: Any, entries: list[dict[str, Any]]) -> None:
    labels = list(entries[0]["comparison"]["change"]["recall"])
    table = [[entry["comparison"]["change"]["recall"][label] for label in labels] for entry in entries]
    limit = max(1.0, *(abs(value) for row in table for value in row))
    _draw_heat_map(axis, table, partial(_signed, digits=1), CHANGE_MAP, (-limit, limit))
    axis.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=_SMALL)
    axis.set_yticks(range(len(entries)), [entry["name"] for entry in entries], fontsize=_SMALL)
    axis.set_title("recall of each emotion, change in points", fontsize=_MEDIUM)


def _draw_slices(axis: Any, sliced: list[dict[str, Any]], content: dict[str, Any]) -> None:
    names = [part["slice"] for part in content["slices"]]
    table = [[100 * agreement_of(entry, name) for entry in sliced] for name in names]
    worst = min(_WORST_AGREEMENT, *(value for row in table for value in row))
    _draw_heat_map(axis, table, "{:.1f}".format, _LOSS_MAP, (worst, 100))
    turned: dict[str, Any] = (
        {}
        if len(sliced) <= _MOST_NAMES_IN_LINE
        else {
            "rotation": 25,
            "ha": "right",
            "rotation_mode": "anchor",
        }
    )
    axis.set_xticks(range(len(sliced)), [entry["name"] for entry in sliced], fontsize=_SMALL, **turned)
    rows = [f"{part['slice']} ({part['num_faces']:,} faces)" for part in content["slices"]]
    axis.set_yticks(range(len(names)), rows, fontsize=_SMALL)
    axis.set_title("faces with the same emotion as in PyTorch, %", fontsize=_MEDIUM)


def _draw_heat_map(
    axis: Any, table: list[list[float]], in_words: Callable[[float], str], colors: Any, ends: tuple[float, float]
) -> None:
    """Draw cells with their values, in letters that are legible on each, and the scale beside them."""
    image = axis.imshow(table, cmap=colors, vmin=ends[0], vmax=ends[1], aspect="auto")
    for row, column in np.ndindex(len(table), len(table[0])):
        value = table[row][column]
        luminance = np.array(image.cmap(image.norm(value))[:3]) ** 2.2 @ [0.2126, 0.7152, 0.0722]
        ink = "black" if luminance > 0.18 else "white"
        axis.annotate(in_words(value), (column, row), ha="center", va="center", fontsize=_SMALL, color=ink)
    axis.set_xticks(np.arange(0.5, len(table[0]) - 1), minor=True)
    axis.set_yticks(np.arange(0.5, len(table) - 1), minor=True)
    axis.grid(which="minor", color="#dddddd", linewidth=1)
    axis.tick_params(which="minor", length=0)
    axis.figure.colorbar(image, ax=axis, pad=0.01, aspect=15).ax.tick_params(labelsize=_SMALL)


def _signed(value: float, digits: int) -> str:
    """Return a change with its sign, and without one where it is rounded to zero."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def _draw_costs(axis: Any, entry: dict[str, Any]) -> None:
    record = entry["quantization"]
    costs = record["layer_costs"]
    kept = set(record["float_layers"])
    axis.barh(
        [cost["layer"] for cost in costs],
        [1000 * cost["kl"] for cost in costs],
        color=[PLAIN_COLOR if cost["layer"] in kept else GOOD_COLOR for cost in costs],
    )
    axis.invert_yaxis()
    axis.tick_params(labelsize=_SMALL)
    axis.set_title(f"{entry['name']}: cost of one layer in INT8", fontsize=_MEDIUM)
    axis.set_xlabel(
        "mean KL, thousandths of a nat" + ("; gray: left in higher precision" if kept else ""), fontsize=_SMALL
    )
