"""The table of training runs: rows of earlier calls, notes by hand, and Markdown."""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fer_train.data.readers.cache import file_sha256
from fer_train.errors import CheckpointError, ConfigError
from fer_train.sweep.table_files import LABELS

_FIGURES = ("model", "seed", "plain", "flip", "f1")
_BEGINNING = ("model", "labels", "seed", "start", "teachers", "ferplus_share")
_HEAD = (
    "run",
    "config",
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
    "Config: the files of configs/train that have the recipe of the run; its seed and the files that it starts from "
    "and learns from may differ. Blank: no file has it, or an earlier version of fer-train made the row.",
    "Start: the weights that the run began with, and when (UTC) they were made. Teachers: with the first digits of the "
    "file's SHA-256. Epochs, minutes and hardware are those of the run itself; `in all` adds the earlier steps that "
    "its weights come from. `11 of 72`: the run had 11 of its 72 epochs when its row was made.",
    "At most: as the recipes of these steps plan them. Weights of a best epoch, and of a run that was stopped, had "
    "fewer epochs; their provenance does not say how many.",
    "Minutes are the `seconds` of history.json: training and validation, without writing checkpoints and without the "
    "answers of cached teachers before the first epoch. The machine did other work as well.",
    "‡: not released; as validated in training, after the last finished epoch.",
    "†: told by hand, as with `--took` and `--hardware`. Otherwise blank: not recorded, or not measured.",
)
_LATER = {"config": None, "released": True, "validated": None, "recipe": None, "file": None, "sha256": None}
"""What rows of earlier versions lack."""


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier table (.json); none where there is no such file.

    Rows of tables that had no steps yet lose their file names, which were those of one machine.

    Raises:
        CheckpointError: not a table of runs.
    """
    if not path.exists():
        return []
    try:
        table = json.loads(path.read_text())
        rows = [_completed(row, table.get("date")) for row in table["runs"]]
        for row in rows:
            _cells(row)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise CheckpointError(
            f"cannot read the earlier table {path}: {err!r}. Fix: another --out, or leave --add out"
        ) from err
    return rows


def _completed(row: dict[str, Any], date: str | None) -> dict[str, Any]:
    row = _LATER | {"date": date, "planned": row["epochs"]} | row
    if "epochs_of_steps" in row:
        return row
    blank = dict.fromkeys(["start", "teachers", "hardware", "epochs_of_steps", "minutes_of_steps"])
    is_run = row["minutes"] is not None  # only folders had minutes then
    flags = f"--run runs/{row['run']}" if is_run else f"--release {row['run']}.safetensors"
    return row | blank | {"flags": flags, "all_epochs_kept": False, "told": []}


def merge_rows(earlier: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the earlier rows in their order, each replaced by the new row of the same run, then the other new rows.

    Raises:
        ConfigError: two different runs have the same name.
    """
    merged = {row["run"]: row for row in earlier}
    for row in rows:
        old = merged.get(row["run"])
        if old is not None and not _are_of_one_run(old, row):
            flag, _, given = row["flags"].partition(" ")
            path = given.removeprefix(f"{row['run']}=")
            raise ConfigError(
                f"{path} is not the run that the table calls {row['run']} ({_in_words(old)}): it is {_in_words(row)}. "
                f"Fix: {flag} NAME={path}, with a name that the table does not have"
            )
        merged[row["run"]] = row if old is None else _replaced(old, row)
    return list(merged.values())


def _are_of_one_run(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether both began with the same, as far as the old row tells.

    A row of an earlier version has no digest, or one of another form. Then equal figures tell, or an equal beginning in
    words: a run that was validated when the old row was made may be released since.
    """
    if _form(old) == _form(new):
        return all(old[key] == new[key] for key in ("recipe", "seed"))
    in_words = (*_BEGINNING, "planned") if old["recipe"] else ()
    is_same = [all(old.get(key) == new.get(key) for key in keys) for keys in (_FIGURES, in_words) if keys]
    return any(is_same)


def _form(row: dict[str, Any]) -> str:
    return (row["recipe"] or "").rpartition(":")[0]


def _in_words(row: dict[str, Any]) -> str:
    start = "" if row["start"] is None else f", start {row['start']}"
    return f"{row['model']}, seed {row['seed']}, {row['epochs']} epoch(s){start}, {row['plain']:.2%}"


def _replaced(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new row, with what only the old row knows of the same weights."""
    if any(old[key] != new[key] for key in _FIGURES):
        return new
    told = [key for key in old["told"] if new[key] is None]
    merged = new | {key: old[key] for key in told} | {"told": told}
    if new["minutes"] is None and old["minutes"] is not None:
        steps = [*new["epochs_of_steps"][:-1], old["epochs"]]
        merged |= {key: old[key] for key in ("minutes", "minutes_of_steps", "epochs", "validated")}
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


def as_markdown(rows: Sequence[dict[str, Any]], *, date: str, command: str, made: Sequence[str]) -> str:
    """Return the table in the order of the rows.

    Args:
        rows: all rows.
        date: of this call.
        command: this call.
        made: names of the rows that this call made; it kept the others.
    """
    lines = [
        "# Training runs",
        "",
        f"{date}. Accuracy on PublicTest, official, against the labels that the row names; FER2013's and FER+'s agree "
        "for 67 % of the faces. It is that of the released weights (float16), or with ‡ that of the validation in "
        "training. One seed a row: standard error 0.8 points, 0.6 for FER+.",
        "",
        "The call that made this table:",
        "",
        f"    {command}",
        "",
    ]
    kept = [row for row in rows if row["run"] not in made]
    for paragraph in _about_kept(kept):
        lines += [paragraph, ""]
    lines += [f"| {' | '.join(cells)} |" for cells in (_HEAD, ["---"] * len(_HEAD), *map(_cells, rows))]
    for paragraph in (*_about_seeds(rows), *_NOTES):
        lines += ["", paragraph]
    return "\n".join([*lines, ""])


def _about_kept(kept: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield where the rows of earlier calls come from, and which of them their files would not give any more."""
    dates: dict[str, list[str]] = {}
    for row in kept:
        dates.setdefault(row["date"] or "date unknown", []).append(row["run"])
    if dates:
        names = "; ".join(f"{', '.join(runs)} ({date})" for date, runs in sorted(dates.items()))
        yield f"`--add` kept these rows, which earlier calls made: {names}."
    if changed := [row for row in kept if row["sha256"] is not None and _has_changed(row)]:
        files = ", ".join(f"{row['file']} (row {row['run']})" for row in changed)
        yield f"These files have changed since their rows were made: {files}."


def _has_changed(row: dict[str, Any]) -> bool:
    path = Path(row["file"])
    return path.is_file() and file_sha256(path) != row["sha256"]


def _about_seeds(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield mean and deviation of the runs that began with the same except for the seed, and had the same epochs."""
    groups: dict[tuple[str, int], dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row["recipe"] is not None and row["validated"] is not None:
            groups.setdefault((row["recipe"], row["epochs"]), {})[row["seed"]] = row
    spreads = []
    for group in (list(by_seed.values()) for by_seed in groups.values() if len(by_seed) > 1):
        values = [100 * row["validated"] for row in group]
        mean, sd = statistics.mean(values), statistics.stdev(values)
        told = "†" if any("validated" in row["told"] for row in group) else ""
        names = ", ".join(row["run"] for row in group)
        spreads.append(f"{names}: {mean:.2f} ± {sd:.2f} %{told} over {len(group)} seeds.")
    if spreads:
        yield "Mean ± standard deviation of runs that differ in the seed alone, all as validated in training:"
        yield "\n".join(f"- {spread}" for spread in spreads)


def _cells(row: dict[str, Any]) -> list[str]:
    told = {key: "†" if key in row["told"] else "" for key in ("minutes", "hardware", "plain")}
    figures = told["plain"] + ("" if row["released"] else "‡")
    epochs, minutes = row["epochs_of_steps"], row["minutes_of_steps"]
    bound = "" if row["all_epochs_kept"] else "at most "
    of_planned = "" if row["epochs"] == row["planned"] else f" of {row['planned']}"
    return [
        row["run"],
        row["config"] or "",
        row["model"],
        LABELS[row.get("labels", "fer2013")],
        row["start"] or "",
        "" if row["teachers"] is None else ", ".join(row["teachers"]) or "none",
        f"{row['ferplus_share']:g}",
        "" if row["seed"] is None else str(row["seed"]),
        "" if row["epochs"] is None else f"{row['epochs']}{of_planned}",
        "" if epochs is None else bound + _sum(epochs),
        "" if row["minutes"] is None else f"{row['minutes']:.0f}{told['minutes']}",
        "" if minutes is None else _sum(minutes) + told["minutes"],
        f"{row['hardware'] or ''}{told['hardware']}",
        f"{row['plain']:.2%}{figures}",
        "" if row["flip"] is None else f"{row['flip']:.2%}",
        "" if row["f1"] is None else f"{row['f1']:.4f}{figures}",
    ]


def _sum(parts: Sequence[float]) -> str:
    terms = " + ".join(f"{part:.0f}" for part in parts)
    return terms if len(parts) == 1 else f"{sum(parts):.0f} ({terms})"
