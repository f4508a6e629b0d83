"""The table of `fer-deploy live --verbose`."""

from rich.console import Console
from rich.table import Table

from fer_deploy.live.stats import LiveSnapshot


def print_latencies(snapshot: LiveSnapshot, *, to_stderr: bool) -> None:
    """Print the latencies of all stages of a run."""
    Console(stderr=to_stderr).print(_latency_table(snapshot))


def _latency_table(snapshot: LiveSnapshot) -> Table:
    table = Table(title="latency by stage, milliseconds")
    for column in ("stage", "p50", "p90", "p99", "busy"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for row in snapshot.latencies:
        busy = "" if row.stage in ("queue", "wait", "total") else f"{row.busy:.0%}"
        table.add_row(row.stage, f"{row.p50_ms:.2f}", f"{row.p90_ms:.2f}", f"{row.p99_ms:.2f}", busy)
    return table
