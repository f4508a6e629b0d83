"""Draw the confusion of codes and results with Matplotlib."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fer_deploy.agreement.agreement import Agreement, Compared

_DPI: Final = 120
_CELL_INCHES: Final = 0.72
_TITLES: Final = {"raw": "network's label of the frame", "shown": "shown label"}


def confusion_png(found: Agreement) -> bytes:
    """Return a PNG with a confusion matrix for raw and for shown labels.

    The color is the share of a row, so it is the recall on the diagonal; the numbers are counts.
    """
    widths = [len(one.columns) for one in found.compared.values()]
    size = (_CELL_INCHES * sum(widths) + 3.2, _CELL_INCHES * len(found.labels) + 2.4)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
    for axis, (kind, one) in zip(axes, found.compared.items(), strict=True):
        _draw(axis, one, found.labels)
        axis.set_title(f"{_TITLES[kind]}: {one.num:,} moments\nkappa {_kappa_text(one)}", fontsize=10)
    axes[0].set_ylabel("code of the person", fontsize=10)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    return png.getvalue()


def _kappa_text(one: Compared) -> str:
    kappa = one.measures.kappa
    return "not defined" if kappa.value is None else kappa.text


def _draw(axis: Axes, one: Compared, labels: Sequence[str]) -> None:
    shares = one.confusion / np.maximum(one.confusion.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), num in np.ndenumerate(one.confusion):
        if num:
            ink = "white" if shares[row, column] > 0.5 else "#22262e"
            axis.text(column, row, f"{num:,}", ha="center", va="center", fontsize=8, color=ink)
    if len(one.columns) > len(labels):
        axis.axvline(len(labels) - 0.5, color="#6b7280", linewidth=1)
    axis.set_xticks(range(len(one.columns)), one.columns, rotation=45, ha="right", fontsize=9)
    axis.set_yticks(range(len(labels)), labels, fontsize=9)
    axis.tick_params(length=0)
