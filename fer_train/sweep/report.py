"""The report of a sweep: a row for each finished run, the ensemble, and what of the plan is not done."""

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fer_train.amp import resolve_device
from fer_train.hardware import describe_hardware
from fer_train.sweep.plan import Trial
from fer_train.sweep.sweep import Sweep
from fer_train.sweep.table_files import LABELS, table_name, today, write_table


def write_report(sweep: Sweep, path: Path, *, command: str, left_out: Sequence[str], publish: Path | None) -> str:
    """Write the report as Markdown, with JSON beside it, and return the Markdown.

    Args:
        sweep: whose finished runs are reported.
        path: .md to write.
        command: that made it.
        left_out: what of the plan is not done.
        publish: a folder that gets the report too, under the name of the hardware and the month.

    Raises:
        CheckpointError: a file cannot be written.
    """
    device = resolve_device("auto")
    env, rows = _environment(device, command), [row_of_trial(trial) for trial in sweep.released()]
    ensemble = json.loads(sweep.ensemble.read_text()) if sweep.has_ensemble() else None
    text = as_markdown(rows, env, ensemble, left_out)
    content = {**env, "runs": rows, "ensemble": ensemble, "left_out": list(left_out)}
    for target in (path, *([publish / table_name("sweep", device)] if publish else [])):
        write_table(target, text, content)
    return text


def _environment(device: torch.device, command: str) -> dict[str, str]:
    """Return what a reader needs to repeat the sweep."""
    return {
        "hardware": describe_hardware(device),
        "python": platform.python_version(),
        "command": command,
        "date": today(),
    }


def row_of_trial(trial: Trial) -> dict[str, Any]:
    """Return the row of a released run."""
    history, measured = json.loads((trial.out / "history.json").read_text()), trial.spec()["metrics"]["PublicTest"]
    return {
        "run": trial.name,
        "seed": trial.seed,
        "labels": trial.config.labels,
        "epochs": len(history),
        "minutes": sum(row["seconds"] for row in history) / 60,
        "plain": measured["plain"]["accuracy"],
        "flip": measured["flip"]["accuracy"],
        "f1": measured["plain"]["f1"],
    }


def as_markdown(
    rows: list[dict[str, Any]], env: dict[str, str], ensemble: dict[str, Any] | None, left_out: Sequence[str]
) -> str:
    """Return the table of all runs, and what of the plan is not in it."""
    lines = [
        f"# All runs, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}. PublicTest, official, against the labels of the third column.",
        "",
        f"    {env['command']}",
        "",
        "| run | seed | labels | epochs | minutes | PublicTest plain | flip | macro F1, plain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['run']} | {r['seed']} | {LABELS[r['labels']]} | {r['epochs']} | {r['minutes']:.1f} "
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
