"""What people would rather look at: curves and the confusion matrix as PNG, metrics as a table."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from fer_train.checkpoint import write_atomically
from fer_train.evaluate import Metrics


def plot_history(history: list[dict[str, Any]], path: Path) -> None:
    """Write loss, accuracy, macro measures and learning rate over the epochs as PNG."""
    epochs = [row["epoch"] + 1 for row in history]
    panels = (
        ("loss", {"train (smoothed labels)": "train_loss", "validation": "loss"}),
        ("accuracy", {"train (augmented)": "train_accuracy", "validation": "accuracy"}),
        ("validation, macro average", {"F1": "f1", "precision": "precision", "recall": "recall"}),
        ("learning rate", {"learning rate": "learning_rate"}),
    )
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for label, key in curves.items():
            axes.plot(epochs, [row[key] for row in history], label=label, marker=".")
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, path)


def plot_confusion(metrics: Metrics, labels: list[str], path: Path) -> None:
    """Write the confusion matrix as PNG: color is the share of the true class, numbers are share and count."""
    counts = np.array(metrics.confusion)
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(rates, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        dark = rates[row, column] > 0.5
        axes.text(
            column, row, f"{rates[row, column]:.0%}\n{counts[row, column]}",
            ha="center", va="center", fontsize=8, color="white" if dark else "black",
        )  # fmt: skip
    axes.set_xticks(range(len(labels)), labels, rotation=45)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true", title=f"accuracy {metrics.accuracy:.2%}, macro F1 {metrics.f1:.3f}")
    figure.colorbar(picture, ax=axes, label="share of the true class")
    _save(figure, path)


def metrics_table(metrics: Metrics, *, title: str) -> Table:
    """Return a table with a row a class and the macro averages in the last one."""
    table = Table(title=title)
    for column in ("class", "precision", "recall", "F1", "faces"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, row in metrics.per_class.items():
        table.add_row(name, *(f"{row[k]:.3f}" for k in ("precision", "recall", "f1")), f"{row['support']:.0f}")
    table.add_section()
    table.add_row(
        "macro", f"{metrics.precision:.3f}", f"{metrics.recall:.3f}", f"{metrics.f1:.3f}", str(metrics.num_faces)
    )
    table.caption = f"accuracy {metrics.accuracy:.2%}   loss {metrics.loss:.3f}"
    return table


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=100))
