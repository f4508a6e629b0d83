"""What fer-deploy rebuild prints: one table of all artifacts, and why some were not built or do not run here."""

from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from fer_deploy.bench.outcome import Outcome as BenchOutcome
from fer_deploy.live.file_names import printable
from fer_deploy.pack.outcome import Outcome, Row

_WIDTH = 100


class Speed(NamedTuple):
    """The fastest setting of an artifact on this machine: milliseconds of one face (median), and faces a second."""

    p50_ms: float
    faces_per_s: float
    engine: str


def speeds_of(measured: BenchOutcome) -> dict[str, Speed]:
    """Return the best result with one caller of each artifact, by file name."""
    found: dict[str, Speed] = {}
    for one in measured.ranked["single"]:
        result = one.result
        speed = Speed(result.single.latency_ms(50), result.offline.best.per_s, result.candidate.engine_text)
        found.setdefault(result.artifact.path.name, speed)
    return found


def print_rebuild(done: Outcome, speeds: Mapping[str, Speed], console: Console) -> None:
    """Print the table, 100 columns wide at most, and what it does not say."""
    saved = done.saved
    console.print(
        f"{printable(done.model)}: compared with {printable(saved.reference)} on {len(saved.logits)} saved inputs "
        f"({printable(saved.faces)})",
        soft_wrap=True,
    )
    table = Table(width=min(_WIDTH, max(console.width, 80)))
    table.add_column("artifact", overflow="fold", ratio=4)
    table.add_column("built", overflow="fold", ratio=4)
    table.add_column("verified", overflow="fold", ratio=2)
    for name in ("|Δlogit|", "same", "p50 ms", "faces/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in done.rows:
        table.add_row(*_cells(row, speeds.get(row.name)), style="red" if row.is_broken else "")
    console.print(table)
    _print_reasons(done, console)
    console.print(f"\nwritten: {done.folder}" + ("" if not speeds else ", with best.json"), soft_wrap=True)
    if speeds:
        console.print(f"now: fer-deploy live --engine {done.folder}", soft_wrap=True)


def _cells(row: Row, speed: Speed | None) -> list[str]:
    found = row.comparison
    if found is None:
        verdict = "failed" if row.is_broken else "not run"
        return [row.name, row.built, verdict, "", "", "", ""]
    verdict = "FAILED" if row.is_broken else "holds"
    times = ["", ""] if speed is None else [f"{speed.p50_ms:.2f}", f"{speed.faces_per_s:,.0f}"]
    return [row.name, row.built, verdict, f"{found.max_abs_logit:.1e}", f"{found.agreement:.0%}", *times]


def _print_reasons(done: Outcome, console: Console) -> None:
    """Print each reason once, with the artifacts that it applies to."""
    reasons = sorted((row.reason, row.name) for row in done.rows if row.reason)
    for reason, rows in groupby(reasons, key=lambda pair: pair[0]):
        names = ", ".join(name for _, name in rows)
        console.print(f"{names}: {printable(' '.join(reason.split()))}", soft_wrap=True)
    for row in done.rows:
        if row.comparison is not None and row.comparison.breaches:
            console.print(f"{row.name}: {'; '.join(row.comparison.breaches)}", soft_wrap=True)
