"""What fer-deploy rebuild prints: one table of all artifacts, and why some were not built or do not run here."""

import os
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from fer_deploy.bench.outcome import Outcome as BenchOutcome
from fer_deploy.engines.best import BEST_NAME
from fer_deploy.live.file_names import printable
from fer_deploy.pack.outcome import Outcome, Row


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


def unmeasured_of(measured: BenchOutcome) -> dict[str, str]:
    """Return why a file was not measured, by its name."""
    return {one.what: one.reason for one in measured.skipped}


def print_rebuild(
    done: Outcome, speeds: Mapping[str, Speed], console: Console, unmeasured: Mapping[str, str] | None = None
) -> None:
    """Print the table, 80 columns wide at most, and below it why an artifact was not built, run or measured, or failed.

    Args:
        done: the rebuild.
        speeds: by file name.
        console: where to print.
        unmeasured: why a file has no speed, by its name.
    """
    saved = done.saved
    console.print(
        f"{printable(done.model)}, files {printable(done.model)}-*: compared with {printable(saved.reference)} on "
        f"{len(saved.logits)} saved inputs ({printable(saved.faces)})\n",
        soft_wrap=True,
    )
    slow = {row.name: (unmeasured or {}).get(row.name, "") for row in done.rows if row.comparison is not None}
    notes = list(dict.fromkeys(filter(None, (*map(_note, done.rows), *slow.values()))))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("artifact", "built", "verified"):
        table.add_column(name, no_wrap=True)
    for name in ("|Δlogit|", "packed", "same", "p50 ms", "faces/s"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in done.rows:
        mark = f" [{notes.index(_note(row)) + 1}]" if _note(row) else ""
        name, built, verdict = row.name.removeprefix(f"{done.model}-"), row.built, _verdict(row)
        built, verdict = (built, verdict + mark) if built else (f"no{mark}", verdict)
        cells = _numbers(row, speeds.get(row.name))
        if reason := slow.get(row.name):
            cells[-1] = f"[{notes.index(reason) + 1}]"
        table.add_row(printable(name), built, verdict, *cells, style="red" if row.is_broken else "")
    console.print(table)
    for number, note in enumerate(notes, start=1):
        console.print(f"[{number}] {printable(note)}", soft_wrap=True)
    has_best = (done.folder / BEST_NAME).exists()
    console.print(f"\nwritten: {done.folder}" + (f", with {BEST_NAME}" if has_best else ""), soft_wrap=True)
    if has_best:
        console.print(f"now: fer-deploy live --engine {shlex.quote(os.fspath(done.folder))}", soft_wrap=True)


def _verdict(row: Row) -> str:
    if row.is_broken:
        return "FAILS"
    return "not run" if row.comparison is None and row.built else "holds" if row.comparison is not None else ""


def _numbers(row: Row, speed: Speed | None) -> list[str]:
    found = row.comparison
    packed = "" if row.packed_difference is None else f"{row.packed_difference:.1e}"
    times = ["", ""] if speed is None else [f"{speed.p50_ms:.2f}", f"{speed.faces_per_s:,.0f}"]
    if found is None:
        return ["", packed, "", *times]
    return [f"{found.max_abs_logit:.1e}", packed, f"{found.agreement:.1%}", *times]


def _note(row: Row) -> str:
    """Return the text below the table, or an empty one."""
    breaches = () if row.comparison is None else row.comparison.breaches
    return " ".join(("; ".join(breaches) or row.reason).split())
