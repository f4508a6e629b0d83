"""Format metrics as tables for the terminal.

The title of every table names the split, view and protocol of its numbers.
"""

from collections.abc import Callable

from rich.box import SIMPLE
from rich.table import Table

from fer_train.evaluation.evaluate import Evaluation
from fer_train.evaluation.metrics import Metrics


def metrics_table(metrics: Metrics, *, title: str) -> Table:
    """Return a table with one row per class and the macro averages in the last row."""
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


def summary_table(evaluation: Evaluation, *, title: str) -> Table:
    """Return a table with one column per view and protocol; three views fit into 80 characters."""
    table = Table(title=title, box=SIMPLE, padding=0)
    table.add_column("")
    measured = [
        (f"{view}\n{protocol}", metrics)
        for view, by_protocol in evaluation.metrics.items()
        for protocol, metrics in by_protocol.items()
        if metrics is not None
    ]
    for head, _ in measured:
        table.add_column(head, justify="right", no_wrap=True)
    for name, show in _ROWS:
        table.add_row(name, *(show(metrics) for _, metrics in measured))
    return table


_ROWS: tuple[tuple[str, Callable[[Metrics], str]], ...] = (
    ("faces", lambda m: f"{m.num_faces:,}"),
    ("accuracy", lambda m: f"{m.accuracy:.2%}"),
    ("  95 %", lambda m: "{:.1f}-{:.1f}".format(*(100 * bound for bound in m.accuracy_interval))),
    ("macro F1", lambda m: f"{m.f1:.3f}"),
    ("  95 %", lambda m: "{:.2f}-{:.2f}".format(*m.f1_interval)),
    ("macro precision", lambda m: f"{m.precision:.3f}"),
    ("macro recall", lambda m: f"{m.recall:.3f}"),
    ("cross-entropy", lambda m: f"{m.loss:.3f}"),
    ("ECE", lambda m: f"{m.ece:.3f}"),
    ("Brier (0 to 2)", lambda m: f"{m.brier:.3f}"),
)
