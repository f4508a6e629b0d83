"""The table of training runs: rows, notes by hand, Markdown, and the command that makes it again."""

import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fer_train.errors import CheckpointError, ConfigError
from fer_train.sweep.table_files import LABELS

_FIGURES = ("model", "seed", "plain", "flip", "f1")
_HEAD = (
    "run",
    "model",
    "labels",
    "start",
    "teachers",
    "FER+",
    "seed",
    "epochs",
    "epochs in all",
    "minutes",
    "minutes in all",
    "hardware",
    "plain",
    "flip",
    "macro F1",
)
_NOTES = (
    "Start: the weights that the run began with, and when (UTC) they were made. Teachers: with the first digits of the "
    "file's SHA-256. Epochs, minutes and hardware are those of the run itself; `in all` adds the earlier steps that "
    "its weights come from.",
    "At most: as the recipes of these steps plan them. Weights of a best epoch, and of a run that was stopped, had "
    "fewer epochs; their provenance does not say how many.",
    "Minutes are the `seconds` of history.json: training and validation, without writing checkpoints and without the "
    "answers of cached teachers before the first epoch. The machine did other work as well.",
    "†: from `--took` or `--hardware`, by hand. Blank: not recorded, or the release is gone.",
)


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier table (.json); none where there is no such file.

    Rows of tables that had no steps yet lose their file names, which were those of one machine.

    Raises:
        CheckpointError: not a table of runs.
    """
    if not path.exists():
        return []
    try:
        rows = [_with_steps(row) for row in json.loads(path.read_text())["runs"]]
        for row in rows:
            _cells(row)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise CheckpointError(
            f"cannot read the earlier table {path}: {err!r}. Fix: another --out, or leave --add out"
        ) from err
    return rows


def _with_steps(row: dict[str, Any]) -> dict[str, Any]:
    if "epochs_of_steps" in row:
        return row
    blank = dict.fromkeys(["start", "teachers", "hardware", "epochs_of_steps", "minutes_of_steps"])
    is_run = row["minutes"] is not None  # only folders had minutes then
    flags = f"--run runs/{row['run']}" if is_run else f"--release {row['run']}.safetensors"
    return row | blank | {"flags": flags, "all_epochs_kept": False, "told": []}


def merge_rows(earlier: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the earlier rows in their order, each replaced by the new row of the same run, then the other new rows."""
    named = {row["run"]: row for row in rows}
    known = {row["run"] for row in earlier}
    kept = [_replaced(old, named[old["run"]]) if old["run"] in named else old for old in earlier]
    return kept + [row for row in rows if row["run"] not in known]


def _replaced(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new row, with what only the old row knows of the same weights."""
    if any(old[key] != new[key] for key in _FIGURES):
        return new
    told = [key for key in old["told"] if new[key] is None]
    merged = new | {key: old[key] for key in told} | {"told": told}
    if new["minutes"] is None and old["minutes"] is not None:
        steps = [*new["epochs_of_steps"][:-1], old["epochs"]]
        merged |= {key: old[key] for key in ("minutes", "minutes_of_steps", "epochs", "flags")}
        merged |= {"epochs_of_steps": steps}
    return merged


def add_notes(rows: list[dict[str, Any]], key: str, texts: Sequence[str]) -> None:
    """Write the values of `--took` or `--hardware`, each RUN=VALUE, into the rows in place.

    Raises:
        ConfigError: no such run, no number, or a value that the run's own files have.
    """
    by_name = {row["run"]: row for row in rows}
    flag = "--took" if key == "minutes" else f"--{key}"
    for text in texts:
        name, _, value = text.partition("=")
        if name not in by_name or not value:
            known = ", ".join(by_name) or "no run"
            raise ConfigError(
                f"{flag} {text!r} is not RUN=VALUE with a run of the table ({known}). Fix: {flag} RUN=VALUE"
            )
        row = by_name[name]
        if row[key] is not None and key not in row["told"]:
            raise ConfigError(f"{flag} {text!r}: {name}'s own files say {row[key]}. Fix: leave {flag} {text!r} out")
        row |= _minutes(row, value) if key == "minutes" else {key: value}
        row["told"] = sorted({*row["told"], key})


def _minutes(row: dict[str, Any], value: str) -> dict[str, Any]:
    num_steps = len(row["epochs_of_steps"] or [None])
    try:
        minutes = [float(number) for number in value.split("+")]
    except ValueError as err:
        raise ConfigError(
            f"--took {row['run']}={value} is not NUMBER or NUMBER+NUMBER. Fix: such as --took {row['run']}=20"
        ) from err
    if len(minutes) not in (1, num_steps) or not all(0 < number < math.inf for number in minutes):
        steps = "" if num_steps == 1 else f", or {num_steps} numbers above 0 with + between them, oldest step first"
        raise ConfigError(
            f"--took {row['run']}={value} does not fit a run of {num_steps} step(s). Fix: one number above 0, the "
            f"minutes of its last step{steps}"
        )
    is_whole = row["epochs_of_steps"] is not None and len(minutes) == num_steps
    return {"minutes": minutes[-1], "minutes_of_steps": minutes if is_whole else None}


def command_for(rows: list[dict[str, Any]]) -> str:
    """Return the one command that makes these rows, without the folders of the machine that made them."""
    words = ["fer-train runs", *(row["flags"] for row in rows)]
    for row in rows:
        if "minutes" in row["told"]:
            steps = row["minutes_of_steps"] or [row["minutes"]]
            value = "+".join(f"{number:g}" for number in steps)
            words.append(f"--took {shlex.quote(row['run'] + '=' + value)}")
        if "hardware" in row["told"]:
            words.append(f"--hardware {shlex.quote(row['run'] + '=' + row['hardware'])}")
    return " ".join(words)


def as_markdown(rows: list[dict[str, Any]], date: str) -> str:
    """Return the table in the order of the rows."""
    lines = [
        "# Training runs",
        "",
        f"{date}. PublicTest, official, of the released weights (float16), against the labels of the "
        "third column, which agree for 67 % of the faces. One seed each: standard error 0.8 points, 0.6 for FER+.",
        "",
        "Each row comes from its flag in this command. Where the run is gone, it comes from an earlier call, kept by "
        "`--add`:",
        "",
        f"    {command_for(rows)}",
        "",
    ]
    lines += [f"| {' | '.join(cells)} |" for cells in (_HEAD, ["---"] * len(_HEAD), *map(_cells, rows))]
    for note in _NOTES:
        lines += ["", note]
    return "\n".join([*lines, ""])


def _cells(row: dict[str, Any]) -> list[str]:
    told = {key: "†" if key in row["told"] else "" for key in ("minutes", "hardware")}
    epochs, minutes = row["epochs_of_steps"], row["minutes_of_steps"]
    bound = "" if row["all_epochs_kept"] else "at most "
    return [
        row["run"],
        row["model"],
        LABELS[row.get("labels", "fer2013")],
        row["start"] or "",
        "" if row["teachers"] is None else ", ".join(row["teachers"]) or "none",
        f"{row['ferplus_share']:g}",
        *("" if row[key] is None else str(row[key]) for key in ("seed", "epochs")),
        "" if epochs is None else bound + _sum(epochs),
        "" if row["minutes"] is None else f"{row['minutes']:.0f}{told['minutes']}",
        "" if minutes is None else _sum(minutes) + told["minutes"],
        f"{row['hardware'] or ''}{told['hardware']}",
        f"{row['plain']:.2%}",
        f"{row['flip']:.2%}",
        f"{row['f1']:.4f}",
    ]


def _sum(parts: Sequence[float]) -> str:
    terms = " + ".join(f"{part:.0f}" for part in parts)
    return terms if len(parts) == 1 else f"{sum(parts):.0f} ({terms})"
