"""Plot curves, matrices and diagrams as PNG.

The title of every picture names the split, view and protocol of its numbers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from fer_train.evaluation.evaluate import Evaluation
from fer_train.evaluation.metrics import Metrics
from fer_train.evaluation.palette import BAD_COLOR, COLORS, GOOD_COLOR, PLAIN_COLOR, SHARE_MAP, color_at
from fer_train.evaluation.reliability import measure_reliability
from fer_train.files.durable import write_atomically

_DPI = 110
_FEW_FACES = 10
_CURVE_COLORS = (BAD_COLOR, GOOD_COLOR)
_OUTLINED = (Stroke(linewidth=3, foreground="#404040"), Normal())  # light colors are visible on white


def plot_history(history: list[dict[str, Any]], path: Path) -> None:
    """Plot loss, accuracy, F1, precision, recall and learning rate over the epochs as PNG; a line marks the best.

    Args:
        history: one row per epoch, as recorded by the training loop; at least one.
        path: the PNG.
    """
    epochs = [row["epoch"] + 1 for row in history]
    best = max(history, key=lambda row: row["accuracy"])
    panels = (
        ("loss", {"training (augmented, smoothed labels)": "train_loss", "validation": "loss"}),
        ("accuracy", {"training (augmented)": "train_accuracy", "validation": "accuracy"}),
        ("macro F1, validation", {"F1": "f1"}),
        ("macro precision and recall, validation", {"precision": "precision", "recall": "recall"}),
        ("learning rate at the end of the epoch", {"learning rate": "learning_rate"}),
    )
    figure = Figure(figsize=(15, 8), layout="constrained")
    *axes_of_panels, summary = figure.subplots(2, 3).flat
    for axes, (title, curves) in zip(axes_of_panels, panels, strict=True):
        # A panel's last curve is the validation's, or the only one: it has the same color everywhere.
        for (label, key), color in zip(curves.items(), _CURVE_COLORS[-len(curves) :], strict=True):
            _draw_curve(axes, epochs, [row[key] for row in history], label=label, color=color)
        if len(history) > 1:
            axes.axvline(best["epoch"] + 1, color=PLAIN_COLOR, linestyle=":", label="best epoch")
        axes.set(title=title, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=9)
    _write_best(summary, best, len(history))
    _save(figure, path)


def _draw_curve(axes: Axes, epochs: list[int], values: list[float], *, label: str, color: str) -> None:
    """Draw a curve, or a point and its value where there is one epoch only."""
    axes.plot(epochs, values, label=label, marker="o", markersize=9 if len(epochs) == 1 else 3, color=color)
    if len(epochs) == 1:
        point = epochs[0], values[0]
        axes.annotate(f"{values[0]:.4g}", point, textcoords="offset points", xytext=(12, 0), va="center")
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)


def _write_best(axes: Axes, best: dict[str, Any], num_epochs: int) -> None:
    lines = [f"epoch {best['epoch'] + 1} of {num_epochs} is the best, by validation accuracy", ""]
    lines += [f"{name:<17}{best[key]:.4f}" for name, key in _SUMMARY.items()]
    axes.axis("off")
    axes.text(0.02, 0.95, "\n".join(lines), va="top", family="monospace", fontsize=11, transform=axes.transAxes)


_SUMMARY = {
    "accuracy": "accuracy",
    "macro F1": "f1",
    "macro precision": "precision",
    "macro recall": "recall",
    "loss": "loss",
    "training loss": "train_loss",
}


def plot_confusion(metrics: Metrics, labels: Sequence[str], path: Path, *, title: str = "") -> None:
    """Plot the confusion matrix as PNG, counts on the left and shares of the true class on the right.

    Args:
        metrics: metrics whose `confusion`, `accuracy` and `f1` are shown.
        labels: names of the classes.
        path: the PNG.
        title: model, split, view and protocol of the measurement.
    """
    counts = np.array(metrics.confusion)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(15, 7), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_matrix(left, rates, [[f"{n:,}" for n in row] for row in counts], labels)
    _draw_matrix(right, rates, [[f"{100 * share:.1f}" for share in row] for row in rates], labels)
    support = [f"{name} ({n:,})" for name, n in zip(labels, counts.sum(axis=1), strict=True)]
    left.set_yticks(range(len(labels)), support)
    left.set_title("faces")
    right.set_title("% of the true class")
    figure.colorbar(right.images[0], ax=right, label="share of the true class")
    head = f"{title}: " if title else ""
    figure.suptitle(f"{head}accuracy {metrics.accuracy:.2%}, macro F1 {metrics.f1:.3f}, {metrics.num_faces:,} faces")
    _save(figure, path)


def _draw_matrix(axes: Axes, shades: NDArray[np.float64], texts: list[list[str]], labels: Sequence[str]) -> None:
    axes.imshow(shades, cmap=SHARE_MAP, vmin=0, vmax=1)
    for row, column in np.ndindex(*shades.shape):
        color = "white" if shades[row, column] > 0.65 else "black"
        axes.text(column, row, texts[row][column], ha="center", va="center", color=color)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true")


def plot_reliability(probs: NDArray[np.float32], labels: NDArray[np.int64], path: Path, *, title: str = "") -> None:
    """Plot the reliability diagram as PNG: accuracy against confidence in 15 bins, and the faces in each bin.

    Args:
        probs: (N, C).
        labels: (N,) true classes.
        path: the PNG.
        title: model, split, view and protocol of the measurement.
    """
    bins = measure_reliability(probs, labels)
    width = 1 / len(bins.counts)
    centres = (np.arange(len(bins.counts)) + 0.5) * width
    # A bin with few faces is uncertain, so it is pale.
    opacity = np.where(bins.counts < _FEW_FACES, 0.3, 1.0)
    accuracy, confidence = np.nan_to_num(bins.accuracy), np.nan_to_num(bins.confidence)
    figure = Figure(figsize=(7, 8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    lower_end = np.minimum(accuracy, confidence)
    parts = (
        ("accuracy", lower_end, np.zeros_like(lower_end), GOOD_COLOR),
        ("accuracy above the mean confidence (underconfident)", accuracy - lower_end, lower_end, COLORS[1]),
        ("mean confidence above the accuracy (overconfident)", confidence - lower_end, lower_end, BAD_COLOR),
    )
    for label, heights, bottoms, color in parts:
        colors = [(color, float(part)) for part in opacity]
        upper.bar(centres, heights, width * 0.94, bottom=bottoms, color=colors)
        upper.bar([0], [0], color=color, label=label)  # the legend shows the full color
    upper.plot([0, 1], [0, 1], color="black", linestyle="--", label="perfectly calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of right predictions")
    figure.legend(loc="outside lower center", ncols=2)
    lower.bar(centres, bins.counts, width * 0.94, color=PLAIN_COLOR)
    lower.set(xlabel="confidence (probability of the predicted class)", ylabel="faces")
    right = float((probs.argmax(axis=1) == labels).mean())
    numbers = f"ECE {bins.ece:.3f}, mean confidence {probs.max(axis=1).mean():.1%}, accuracy {right:.1%}"
    figure.suptitle(f"{title}\n{numbers}" if title else numbers)
    _save(figure, path)


def plot_precision_recall(
    probs: NDArray[np.float32], labels: NDArray[np.int64], names: Sequence[str], path: Path, *, title: str = ""
) -> None:
    """Plot precision over recall for each class against the rest as PNG; a dot marks the top-class decision.

    Args:
        probs: (N, C).
        labels: (N,) true classes; a class without faces has no curve but is named in the legend.
        names: class names.
        path: the PNG.
        title: model, split, view and protocol of the measurement.
    """
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    predicted = probs.argmax(axis=1)
    averages = []
    for label, name in enumerate(names):
        is_class, is_predicted = labels == label, predicted == label
        if not is_class.any():
            axes.plot([], [], label=f"{name}: no face")
            continue
        precision, recall, _ = precision_recall_curve(is_class, probs[:, label])
        averages.append(float(average_precision_score(is_class, probs[:, label])))
        color, text = color_at(label), f"{name} ({is_class.sum():,}): AP {averages[-1]:.3f}"
        axes.plot(recall, precision, label=text, color=color, path_effects=list(_OUTLINED))
        if is_predicted.any():
            hits = (is_class & is_predicted).sum()
            axes.plot(
                hits / is_class.sum(),
                hits / is_predicted.sum(),
                "o",
                color=color,
                markeredgecolor="black",
                markersize=8,
            )
    axes.plot([], [], "o", color=PLAIN_COLOR, markeredgecolor="black", label="top-class decision")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", title="class (faces): average precision")
    numbers = f"mean average precision {np.mean(averages):.3f}"
    axes.set_title(f"{title}: {numbers}" if title else numbers)
    _save(figure, path)


def write_plots(evaluation: Evaluation, folder: Path, *, model: str) -> list[Path]:
    """Plot confusion, reliability and precision-recall of the plain view on every face; return the paths of the PNGs.

    `model` is the name of the weights in the titles.
    """
    names, labels, probs = evaluation.names, evaluation.faces.labels, evaluation.probs("plain")
    title = f"{model} on {evaluation.split}, {evaluation.in_words}, plain, official"
    paths = [folder / f"{evaluation.split}-{what}.png" for what in ("confusion", "reliability", "precision-recall")]
    plot_confusion(evaluation.official("plain"), names, paths[0], title=title)
    plot_reliability(probs, labels, paths[1], title=title)
    plot_precision_recall(probs, labels, names, paths[2], title=title)
    return paths


_DEGRADED_AXES = {
    "blur": ("blur", "sigma in pixels of a 48-pixel face"),
    "contrast": ("contrast", "pixel deviation (FER2013: 54)"),
    "size": ("size", "side in pixels, before enlarging"),
    "tilt": ("tilt", "degrees"),
}


def plot_degraded(rows: Sequence[dict[str, Any]], path: Path, *, title: str = "") -> None:
    """Plot accuracy against blur, contrast, size and tilt as PNG, each with the accuracy on clean faces.

    Args:
        rows: results of `DegradedRow.to_dict()`.
        path: the PNG.
        title: model, split and labels of the measurement.
    """
    known = {(row["what"], row["amount"]): row["accuracy"] for row in rows}
    clean, soft = known["clean", 0.0], next(row for row in rows if row["what"] == "dim and soft")
    figure = Figure(figsize=(12, 7), layout="constrained")
    for axes, (what, (name, unit)) in zip(figure.subplots(2, 2).flat, _DEGRADED_AXES.items(), strict=True):
        points = sorted((amount, accuracy) for (kind, amount), accuracy in known.items() if kind == what)
        axes.axhline(clean, color=PLAIN_COLOR, linestyle="--", label=f"clean: {clean:.1%}")
        axes.plot(*zip(*points, strict=True), marker="o", color=GOOD_COLOR, label=name)
        for amount, accuracy in points:
            axes.annotate(
                f"{100 * accuracy:.0f}",
                (amount, accuracy),
                textcoords="offset points",
                xytext=(0, 7),
                ha="center",
                fontsize=9,
            )
        if what in ("contrast", "size"):  # degradation increases to the right in every panel
            axes.invert_xaxis()
        axes.set(title=name, xlabel=unit, ylabel="accuracy", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left", fontsize=9)
    numbers = f"dim and soft (blur {soft['amount']:g}, deviation 25): {soft['accuracy']:.1%}"
    figure.suptitle(f"{title}\n{numbers}" if title else numbers)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=_DPI))
