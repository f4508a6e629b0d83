"""How a model came about, as the model card tells it: data, recipe, provenance, and the commands that retrain it.

Everything comes from a ModelSpec's `provenance`: that of the run, inside it as `init` that of the release it started
from, and so on; each is called a step here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def describe_data(provenance: dict[str, Any]) -> list[str]:
    """Return Markdown blocks on the rows that were used and those left out."""
    config = provenance["config"]
    train_split = config["train_split"]
    counts = ", ".join(f"{count:,} {split}" for split, count in provenance["num_faces"].items())
    meaning = {
        "clean": f"no row of {train_split} whose pixels also stand in another split",
        "official": "every row, twins across splits included",
    }
    lines = [f"Protocol **{config['protocol']}**: {meaning[config['protocol']]}. Used: {counts}."]
    if "data_rows" in provenance:
        left_out, by_list = _left_out(provenance)
        lines.append(
            f"Of the data's {provenance['data_rows'][train_split]:,} rows of {train_split}, {left_out:,} were left "
            f"out: {left_out - by_list:,} twins found by pixel hash, {by_list:,} by lists (`--twin-rows`, `--exclude`)."
        )
    lines += [_describe_list(row_list, train_split) for row_list in provenance.get("row_lists", [])]
    lines.append(f"SHA-256 of the data: `{provenance['data_sha256']}`.")
    return ["## Data", "\n".join(lines)]


def _describe_list(row_list: dict[str, Any], train_split: str) -> str:
    return (
        f"`{row_list['flag']} {row_list['file']}` names {row_list['num_rows']:,} rows of {train_split}; "
        f"SHA-256 `{row_list['sha256']}`."
    )


def _left_out(provenance: dict[str, Any]) -> tuple[int, int]:
    """Return how many training rows were left out, and how many of them by lists."""
    train_split = provenance["config"]["train_split"]
    left_out = provenance["data_rows"][train_split] - provenance["num_faces"][train_split]
    return left_out, max(left_out - provenance["num_twins"], 0)


def describe_recipe(stem: str, provenance: dict[str, Any]) -> list[str]:
    """Return Markdown blocks with the config of each step, under the file name that `retrain_commands` uses."""
    blocks = ["## Recipe"]
    for name, step in _steps(stem, provenance):
        config = dict(step["config"])
        if "init" in step:
            del config["init"]  # a path of the machine that trained it; the command gives it as a flag
        text = yaml.safe_dump(config, sort_keys=False)
        blocks += [f"`{name}.yaml`, seed {config['seed']}:", f"```yaml\n{text}```"]
        if "recalibrated_on" in step:
            num_faces = f"{step['recalibrated_on']:,}"
            blocks.append(f"Then batch-norm statistics were measured anew on {num_faces} unaugmented training faces.")
    return blocks


def describe_provenance(stem: str, provenance: dict[str, Any]) -> list[str]:
    """Return Markdown blocks on versions, seeds, machines, ancestors and teachers."""
    lines = []
    for name, step in _steps(stem, provenance):
        on = f", on {step['hardware']}" if "hardware" in step else ""
        lines.append(
            f"- {name}: finished {step['created']}, fer-train {step['fer_train']}, torch {step['torch']}, "
            f"seed {step['config']['seed']}{on}; weights from {_start(step)}"
        )
        lines += [f"    - taught by {_describe_teacher(teacher)}" for teacher in step.get("teachers", [])]
    if "measured_on" in provenance:
        lines.append(f"- measures: the weights as this file holds them, in float32, on {provenance['measured_on']}")
    return ["## Provenance", "\n".join(lines)]


def _start(step: dict[str, Any]) -> str:
    if "init" in step:
        return "the step before"
    pretrained = step["config"].get("pretrained")
    return f"`{Path(pretrained).name}`, trained on other data by others" if pretrained else "random numbers"


def _describe_teacher(teacher: dict[str, Any]) -> str:
    who = f"`{teacher['path']}` ({teacher['architecture']}, weight {teacher['weight']:.2g})"
    return f"{who}, SHA-256 `{teacher['sha256']}`"


def retrain_commands(stem: str, provenance: dict[str, Any], *, release: str) -> list[str]:
    """Return Markdown blocks with the commands of all steps and of the release.

    Args:
        stem: of the card; names configs and runs.
        provenance: of the last step.
        release: flags of the release command that the provenance does not know.
    """
    commands: list[str] = []
    start: Path | None = None
    steps = _steps(stem, provenance)
    for name, step in steps:
        commands.append(_train_command(name, step, start))
        start = Path("runs") / name / "best.safetensors"
        is_last = name == steps[-1][0]
        recalibrate = "recalibrated_on" in step
        if is_last or recalibrate:
            out = Path("runs") / name / "release.safetensors"
            words = ["fer-train release", f"--checkpoint {start}", "--data fer2013.csv"]
            words += ["--recalibrate", *_list_flags(step, "recalibrated_row_lists")] if recalibrate else []
            commands.append(" ".join([*words, release if is_last else f"--out {out}"]))
            start = out
    blocks = ["## Retrain", "```\n" + "\n".join(commands) + "\n```"]
    are_named = all("row_lists" in step for _, step in steps)
    if not are_named and "data_rows" in provenance and (by_list := _left_out(provenance)[1]):
        blocks.append(
            f"{by_list:,} rows were left out by lists: add `--twin-rows` or `--exclude` with them to each command that "
            "names none. "
            "With all splits of FER2013 in one file, twins are found without a list."
        )
    return blocks


def _train_command(name: str, step: dict[str, Any], start: Path | None) -> str:
    config = step["config"]
    distillation = config.get("distillation")
    words = ["fer-train", "distill" if distillation else "train", f"--config {name}.yaml", "--data fer2013.csv"]
    words += [f"--teacher {Path(teacher).name}" for teacher in (distillation or {}).get("teachers", [])]
    words += ["--ferplus fer2013new.csv"] if config.get("ferplus_share") else []
    words += [] if start is None else [f"--init {start}"]
    return " ".join([*words, *_list_flags(step, "row_lists"), f"--out runs/{name}"])


def _list_flags(step: dict[str, Any], key: str) -> list[str]:
    """Return e.g. ["--exclude exclude.csv"]; nothing for a step of a version that did not record its lists."""
    return [f"{row_list['flag']} {row_list['file']}" for row_list in step.get(key, [])]


def _steps(stem: str, provenance: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (name, provenance) of the run and of those it started from, the oldest first."""
    chain = list(_ancestors(provenance))[::-1]
    return [(f"{stem}-{i}" if len(chain) > 1 else stem, step) for i, step in enumerate(chain, start=1)]


def _ancestors(provenance: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    while provenance is not None:
        yield provenance
        provenance = provenance.get("init")
