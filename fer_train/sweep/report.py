"""The report of sweep.py: a row for each finished run, the ensemble, and what of the plan is not in it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _sweep_plan import Trial


def row_of_trial(trial: Trial) -> dict[str, Any]:
    """Return the row of a released run."""
    history, measured = json.loads((trial.out / "history.json").read_text()), trial.metrics()
    return {
        "run": trial.name, "seed": trial.seed, "epochs": len(history),
        "minutes": sum(row["seconds"] for row in history) / 60,
        "plain": measured["plain"]["accuracy"], "flip": measured["flip"]["accuracy"], "f1": measured["plain"]["f1"],
    }  # fmt: skip


def as_markdown(
    rows: list[dict[str, Any]], env: dict[str, str], ensemble: dict[str, Any] | None, left_out: Sequence[str]
) -> str:
    """Return the table of all runs, and what of the plan is not in it."""
    lines = [
        f"# All runs, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}", "",
        f"    {env['command']}", "",
        "| run | seed | epochs | minutes | PublicTest plain | flip | macro F1, plain |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {r['run']} | {r['seed']} | {r['epochs']} | {r['minutes']:.1f} "
        f"| {r['plain']:.2%} | {r['flip']:.2%} | {r['f1']:.4f} |"
        for r in rows
    ]
    if ensemble is not None:
        lines += _ensemble_lines(ensemble)
    if left_out:
        lines += ["", f"Not done: {', '.join(left_out)}."]
    return "\n".join([*lines, ""])


def _ensemble_lines(ensemble: dict[str, Any]) -> list[str]:
    measured = ensemble["measured"]
    members = ", ".join(f"{Path(m['path']).parent.name} ({m['weight']:.2f})" for m in ensemble["members"])
    lines = ["", f"Ensemble: {members}", "", "| weights | PublicTest plain | flip |", "|---|---|---|"]
    for kind, note in measured["notes"].items():
        plain, flip = (measured["views"][view][kind]["accuracy"] for view in ("plain", "flip"))
        lines.append(f"| {note} | {plain:.2%} | {flip:.2%} |")
    return lines
