"""Plot the report: accuracy, recall and slices by artifact, and the cost of each layer in INT8."""

import io
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fer_deploy.export.verify.slice_report import agreement_of, compared_entries

_DPI = 110
_ROW_INCHES = 0.24
_WORST_AGREEMENT = 85.0
"""Percentage at and below which the heat map of slices is fully red."""
_GOOD, _BAD, _KEPT = "#2a9d8f", "#d1495b", "#b0b0b0"


def report_png(content: dict[str, Any]) -> bytes:
    """Return the plots of a report on labelled faces as PNG."""
    quantized = [entry for entry in content["artifacts"] if entry["quantization"]]
    entries = [entry for entry in [*content["artifacts"], *content["plans"]] if entry["comparison"]]
    sliced = compared_entries(content)
    num_layers = max((len(entry["quantization"]["layer_costs"]) for entry in quantized), default=0)
    heights = [3.2]
    heights += [1.4 + _ROW_INCHES * len(content["slices"])] if sliced else []
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
    colors = [_BAD if entry["comparison"]["breaches"] else _GOOD for entry in entries]
    axis.barh([entry["name"] for entry in entries], changes, color=colors)
    for row, (entry, change) in enumerate(zip(entries, changes, strict=True)):
        accuracy = entry["comparison"]["scores"]["accuracy"]
        axis.annotate(f" {accuracy:.2f} % ({change:+.2f})", (max(change, 0), row), va="center", fontsize=8)
    budget = -content["max_accuracy_drop"]
    axis.axvline(budget, color=_BAD, linestyle="--", linewidth=1)
    low, high = min([budget, *changes]), max([0.0, *changes])
    span = high - low
    axis.set_xlim(low - 0.1 * span, high + 0.9 * span)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.invert_yaxis()
    axis.set_title(f"accuracy, points against PyTorch ({content['reference']['scores']['accuracy']:.2f} %)", fontsize=9)
    axis.set_xlabel("dashed: budget of INT8", fontsize=8)


def _draw_recall(axis: Any, entries: list[dict[str, Any]]) -> None:
    labels = list(entries[0]["comparison"]["change"]["recall"])
    table = [[entry["comparison"]["change"]["recall"][label] for label in labels] for entry in entries]
    limit = max(1.0, *(abs(value) for row in table for value in row))
    axis.imshow(table, cmap="RdYlGn", vmin=-limit, vmax=limit, aspect="auto")
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            axis.annotate(f"{value:+.1f}", (column, row), ha="center", va="center", fontsize=8)
    axis.set_xticks(range(len(labels)), labels, rotation=40, ha="right", fontsize=8)
    axis.set_yticks(range(len(entries)), [entry["name"] for entry in entries], fontsize=8)
    axis.set_title("recall by emotion, change in points", fontsize=9)


def _draw_slices(axis: Any, sliced: list[dict[str, Any]], content: dict[str, Any]) -> None:
    names = [part["slice"] for part in content["slices"]]
    table = [[100 * agreement_of(entry, name) for entry in sliced] for name in names]
    axis.imshow(table, cmap="RdYlGn", vmin=_WORST_AGREEMENT, vmax=100, aspect="auto")
    for row, values in enumerate(table):
        for column, value in enumerate(values):
            axis.annotate(f"{value:.1f}", (column, row), ha="center", va="center", fontsize=8)
    axis.set_xticks(range(len(sliced)), [entry["name"] for entry in sliced], fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_title("same emotion as PyTorch by slice, % of faces", fontsize=9)


def _draw_costs(axis: Any, entry: dict[str, Any]) -> None:
    record = entry["quantization"]
    costs = record["layer_costs"]
    kept = set(record["float_layers"])
    axis.barh(
        [cost["layer"] for cost in costs],
        [cost["kl"] for cost in costs],
        color=[_KEPT if cost["layer"] in kept else _GOOD for cost in costs],
    )
    axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    axis.invert_yaxis()
    axis.tick_params(axis="y", labelsize=7)
    axis.set_title(f"{entry['name']}: cost of a layer alone", fontsize=9)
    axis.set_xlabel("mean KL, nats" + ("; gray: left in higher precision" if kept else ""), fontsize=8)
