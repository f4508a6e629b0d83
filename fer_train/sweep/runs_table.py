"""A table of training runs: recipe, epochs and minutes of all steps, and what the released weights reach on PublicTest.

    python benchmarks/runs.py --run runs/senet --release weights/net.safetensors --minutes net=84+20

`--run` is a folder of `fer-train train` with its `history.json` and with its release as `release.safetensors`, from
`fer-train release --out runs/senet/release.safetensors`. `--release` is weights whose folder is gone: its epochs are
those of its recipe, its minutes are unknown, or what `--minutes` tells. Runs of an earlier table that are not named
stay in it with `--add`; a release with the figures of an earlier row keeps that row's minutes.
"""

import json
import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from harness.measuring import Output, environment, output_options

from fer_train.checkpoint import read_spec_json

_RELEASE = "release.safetensors"
_ROOT = Path(__file__).resolve().parents[1]
_FIGURES = ("model", "seed", "plain", "flip", "f1")
_LABELS = {"fer2013": "FER2013", "ferplus": "FER+ majority"}
_HEAD = ("run", "model", "labels", "start", "teachers", "FER+", "seed", "epochs", "epochs in all", "minutes",
         "minutes in all", "hardware", "plain", "flip", "macro F1")  # fmt: skip
_NOTES = (
    "Start: the weights that the run began with, and when (UTC) they were made. Teachers: with the first digits of the "
    "file's SHA-256. Epochs, minutes and hardware are those of the run itself; `in all` adds the steps before it, each "
    "of which left its weights to the next.",
    "At most: as the recipes of these steps plan them. Into weights of a best epoch, and of a run that was broken off, "
    "went fewer, and provenance does not tell how many.",
    "Minutes are the `seconds` of history.json: training and validation, without the writing of checkpoints and the "
    "asking of cached teachers before the first epoch, of a machine that did other things as well.",
    "†: told with `--minutes` or `--hardware`, from notes. Blank: not recorded, or the release is gone.",
)


def row_of_run(folder: Path) -> dict[str, Any]:
    """Return the row of a run's folder."""
    history = json.loads((folder / "history.json").read_text())
    row = row_of_release(folder / _RELEASE)
    minutes = sum(epoch["seconds"] for epoch in history) / 60
    steps = [*row["epochs_of_steps"][:-1], len(history)]
    return row | {
        "run": folder.name, "flags": f"--run runs/{folder.name}", "epochs": len(history), "minutes": minutes,
        "epochs_of_steps": steps, "minutes_of_steps": [minutes] if len(steps) == 1 else None,
    }  # fmt: skip


def row_of_release(path: Path) -> dict[str, Any]:
    """Return the row of released weights, with the epochs of its recipe and of those of the steps before it."""
    spec = json.loads(read_spec_json(path))
    provenance, measured = spec["provenance"], spec["metrics"]["PublicTest"]
    config, steps = provenance["config"], _steps(provenance)
    own = {"seed": None, "epochs": None} if "soup" in provenance else {
        "seed": config["seed"], "epochs": config["num_epochs"],
    }  # fmt: skip
    return {
        "run": path.stem, "flags": f"--release {_without_private_folders(path)}",
        "model": config["model"], **own, "minutes": None,
        "epochs_of_steps": [step["config"]["num_epochs"] for step in steps], "minutes_of_steps": None,
        "all_epochs_kept": all(step.get("kept") == "final" for step in steps),
        "hardware": provenance.get("hardware"), "start": _start(provenance), "teachers": _teachers(provenance),
        "ferplus_share": config.get("ferplus_share", 0.0), "labels": spec.get("label_set") or "fer2013",
        "plain": measured["plain"]["accuracy"], "flip": measured["flip"]["accuracy"], "f1": measured["plain"]["f1"],
        "told": [],
    }  # fmt: skip


def _without_private_folders(path: Path) -> str:
    full = path.resolve()
    return str(full.relative_to(_ROOT)) if full.is_relative_to(_ROOT) else path.name


def _steps(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provenance of every run whose epochs are in the weights, each once, the oldest first."""
    found: list[dict[str, Any]] = []
    for step in _with_ancestors(provenance):
        if step not in found:  # ingredients of a soup share the release that they started from
            found.append(step)
    return found


def _with_ancestors(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "soup" in step:  # trains nothing itself
        for ingredient in step["soup"]["ingredients"]:
            yield from _with_ancestors(ingredient["provenance"])
        return
    if "init" in step:
        yield from _with_ancestors(step["init"])
    yield step


def _start(provenance: dict[str, Any]) -> str | None:
    """Return what the weights began with, or None where that was not recorded."""
    config = provenance["config"]
    if "soup" in provenance:
        return f"mean of {len(provenance['soup']['ingredients'])} models"
    if "init" in provenance:
        init = provenance["init"]
        kind = "soup" if "soup" in init else "release" if "recalibrated_on" in init else "checkpoint"
        return f"{init['config']['model']} {kind} of {init['created'][:16].replace('T', ' ')}"
    if config.get("pretrained"):
        return "pretrained by others"
    return None if config.get("init") else "random"


def _teachers(provenance: dict[str, Any]) -> list[str] | None:
    """Return architecture and first digits of the SHA-256 of each teacher, or None where that was not recorded."""
    if provenance["config"].get("distillation") and "teachers" not in provenance:
        return None
    return [f"{teacher['architecture']} {teacher['sha256'][:8]}" for teacher in provenance.get("teachers", [])]


def earlier_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an earlier table.

    Rows from before steps were told name files by what they were called on one machine: that is left out.
    """
    if not path.exists():
        return []
    blank = dict.fromkeys(["start", "teachers", "hardware", "epochs_of_steps", "minutes_of_steps"])
    rows = []
    for row in json.loads(path.read_text())["runs"]:
        is_run = row["minutes"] is not None  # only folders had minutes then
        flags = f"--run runs/{row['run']}" if is_run else f"--release {row['run']}.safetensors"
        old = row | blank | {"flags": flags, "all_epochs_kept": False, "told": []}
        rows.append(row if "epochs_of_steps" in row else old)
    return rows


def _add(earlier: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the earlier rows in their places, made anew where they were named again, and the new ones."""
    named = {row["run"]: row for row in rows}
    known = {row["run"] for row in earlier}
    kept = [_made_anew(old, named[old["run"]]) if old["run"] in named else old for old in earlier]
    return kept + [row for row in rows if row["run"] not in known]


def _made_anew(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new row, with what only the old one knows of the same weights."""
    if any(old[key] != new[key] for key in _FIGURES):
        return new
    told = [key for key in old["told"] if new[key] is None]
    merged = new | {key: old[key] for key in told} | {"told": told}
    if new["minutes"] is None and old["minutes"] is not None:
        steps = [*new["epochs_of_steps"][:-1], old["epochs"]]
        merged |= {key: old[key] for key in ("minutes", "minutes_of_steps", "epochs", "flags")}
        merged |= {"epochs_of_steps": steps}
    return merged


def tell(rows: list[dict[str, Any]], key: str, texts: Sequence[str]) -> None:
    """Write into rows, in place, what `--minutes` or `--hardware` told as RUN=TEXT.

    Raises:
        click.BadParameter: no such run, no number, or a value that the run's own files tell.
    """
    by_name = {row["run"]: row for row in rows}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in by_name or not value:
            raise click.BadParameter(
                f"{text!r} is not RUN=VALUE with a run of {', '.join(by_name)}", param_hint=f"--{key}"
            )
        row = by_name[name]
        if row[key] is not None and key not in row["told"]:
            raise click.BadParameter(
                f"{name}'s own files say {row[key]}. Fix: leave {text!r} out", param_hint=f"--{key}"
            )
        row |= _minutes(row, value) if key == "minutes" else {key: value}
        row["told"] = sorted({*row["told"], key})


def _minutes(row: dict[str, Any], value: str) -> dict[str, Any]:
    try:
        minutes = [float(number) for number in value.split("+")]
    except ValueError as err:
        raise click.BadParameter(f"{value!r} is not NUMBER or NUMBER+NUMBER", param_hint="--minutes") from err
    num_steps = len(row["epochs_of_steps"] or [None])
    if len(minutes) not in (1, num_steps) or not all(0 < number < math.inf for number in minutes):
        raise click.BadParameter(
            f"{value!r} is neither the minutes of {row['run']}'s last step nor of its {num_steps} steps, oldest first",
            param_hint="--minutes",
        )
    is_whole = row["epochs_of_steps"] is not None and len(minutes) == num_steps
    return {"minutes": minutes[-1], "minutes_of_steps": minutes if is_whole else None}


def command_for(rows: list[dict[str, Any]]) -> str:
    """Return the one command that makes these rows, without the folders of the machine that made them."""
    words = ["python benchmarks/runs.py", *(row["flags"] for row in rows)]
    for row in rows:
        if "minutes" in row["told"]:
            steps = row["minutes_of_steps"] or [row["minutes"]]
            words.append(f"--minutes {row['run']}={'+'.join(f'{number:g}' for number in steps)}")
        if "hardware" in row["told"]:
            words.append(f"--hardware {shlex.quote(row['run'] + '=' + row['hardware'])}")
    return " ".join(words)


def as_markdown(rows: list[dict[str, Any]], date: str) -> str:
    """Return the table for people, in the order in which the runs were named."""
    lines = [
        "# Training runs", "",
        f"{date}. PublicTest, official, of the released weights (float16), against the labels of the "
        "third column, which agree for 67 % of the faces. One seed each: standard error 0.8 points, 0.6 for FER+.", "",
        "Each row comes from its flag in this command; where the run is gone, from an earlier call, kept by `--add`:",
        "", f"    {command_for(rows)}", "",
    ]  # fmt: skip
    lines += [f"| {' | '.join(cells)} |" for cells in (_HEAD, ["---"] * len(_HEAD), *map(_cells, rows))]
    for note in _NOTES:
        lines += ["", note]
    return "\n".join([*lines, ""])


def _cells(row: dict[str, Any]) -> list[str]:
    told = {key: "†" if key in row["told"] else "" for key in ("minutes", "hardware")}
    epochs, minutes = row["epochs_of_steps"], row["minutes_of_steps"]
    bound = "" if row["all_epochs_kept"] else "at most "
    return [
        row["run"], row["model"], _LABELS[row.get("labels", "fer2013")], row["start"] or "",
        "" if row["teachers"] is None else ", ".join(row["teachers"]) or "none",
        f"{row['ferplus_share']:g}", *("" if row[key] is None else str(row[key]) for key in ("seed", "epochs")),
        "" if epochs is None else bound + _sum(epochs),
        "" if row["minutes"] is None else f"{row['minutes']:.0f}{told['minutes']}",
        "" if minutes is None else _sum(minutes) + told["minutes"],
        f"{row['hardware'] or ''}{told['hardware']}",
        f"{row['plain']:.2%}", f"{row['flip']:.2%}", f"{row['f1']:.4f}",
    ]  # fmt: skip


def _sum(parts: Sequence[float]) -> str:
    terms = " + ".join(f"{part:.0f}" for part in parts)
    return terms if len(parts) == 1 else f"{sum(parts):.0f} ({terms})"


@click.command()
@click.option("--run", "runs", multiple=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--release", "releases", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--add", is_flag=True, help="Keep the other runs of this month's table.")
@click.option("--minutes", multiple=True, metavar="RUN=NUMBER", help="Of a run without folder; 84+20: of each step.")
@click.option("--hardware", multiple=True, metavar="RUN=TEXT", help="Of a run whose provenance does not name it.")
@output_options
def main(runs: tuple[Path, ...], releases: tuple[Path, ...], add: bool, minutes: tuple[str, ...],
         hardware: tuple[str, ...], output: Output) -> None:  # fmt: skip
    """Make a table of runs."""
    for folder in runs:
        if not (folder / _RELEASE).exists():
            raise click.ClickException(
                f"{folder} has no {_RELEASE}. Fix: fer-train release --checkpoint {folder}/final.safetensors "
                f"--data fer2013.csv --recalibrate --out {folder / _RELEASE}"
            )
    device = torch.device("cpu")
    earlier = earlier_rows(output.earlier("runs", device)) if add else []
    rows = _add(earlier, [*map(row_of_release, releases), *map(row_of_run, runs)])
    tell(rows, "minutes", minutes)
    tell(rows, "hardware", hardware)
    date = environment(device)["date"]
    text = as_markdown(rows, date)
    click.echo(text)
    output.write("runs", device, {"date": date, "command": command_for(rows), "runs": rows}, text)


if __name__ == "__main__":
    main()
