"""Describe the origin of a model for the model card: data, recipe, provenance, and the commands that retrain it.

All text comes from a ModelSpec's `provenance`. The provenance of a run may contain that of the release it started
from (`init`) or those of the averaged models (`soup`), recursively. Each of them is called a step here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def describe_data(provenance: dict[str, Any]) -> list[str]:
    """Return Markdown blocks about the rows that were used and those that were left out."""
    config = provenance["config"]
    train_split = config["train_split"]
    counts = ", ".join(f"{count:,} {split}" for split, count in provenance["num_faces"].items())
    meaning = {
        "clean": f"no row of {train_split} whose pixels also appear in another split",
        "official": "every row, twins across splits included",
    }
    lines = [f"Protocol **{config['protocol']}**: {meaning[config['protocol']]}. Used: {counts}."]
    if "data_rows" in provenance:
        left_out, by_list = _left_out(provenance)
        others = "by lists (`--twin-rows`, `--exclude`)"
        if _labels_of(provenance) == "ferplus":
            others += " or because most taggers saw no emotion"
        lines.append(
            f"Of the data's {provenance['data_rows'][train_split]:,} rows of {train_split}, {left_out:,} were left "
            f"out: {left_out - by_list:,} twins found by pixel hash, {by_list:,} {others}."
        )
    lines += [_describe_list(row_list, train_split) for row_list in provenance.get("row_lists", [])]
    lines += _describe_labels(provenance)
    lines += _describe_votes(provenance)
    lines.append(f"SHA-256 of the data: `{provenance['data_sha256']}`.")
    return ["## Data", "\n".join(lines)]


def _labels_of(provenance: dict[str, Any]) -> str:
    labels: str = provenance.get("config", {}).get("labels", "fer2013")
    return labels


def _describe_labels(provenance: dict[str, Any]) -> list[str]:
    if _labels_of(provenance) != "ferplus":
        return []
    if _taught_alone(provenance):
        return ["The training targets were the teachers' outputs alone; the loss used no label and no vote."]
    digest = f"; SHA-256 `{provenance['ferplus_sha256']}`" if provenance.get("ferplus_sha256") else ""
    return [
        f"Targets are the votes of FER+'s ten taggers per face as they were cast (`--ferplus`{digest}); faces that "
        f"most taggers called unknown or no face are left out.{_without_labels(provenance)}"
    ]


def _without_labels(provenance: dict[str, Any]) -> str:
    """Say where FER2013's own labels end; nothing where no recorded step had them: a teacher may have had them."""
    had_them = any(_labels_of(step) != "ferplus" for step in _with_ancestors(provenance) if "config" in step)
    return " The last steps did not use FER2013's own labels." if had_them else ""


def _taught_alone(step: dict[str, Any]) -> bool:
    distillation = step["config"].get("distillation") or {}
    return bool(distillation.get("weight") == 1)


def _describe_votes(provenance: dict[str, Any]) -> list[str]:
    """Return one line for each share that FER+ had in the targets of a step; empty if it had none."""
    found: dict[float, str] = {}
    for step in _with_ancestors(provenance):
        share = 0 if "soup" in step else step["config"].get("ferplus_share", 0)
        if share:
            digest = f"; SHA-256 `{step['ferplus_sha256']}`" if step.get("ferplus_sha256") else ""
            found[share] = digest or found.get(share, "")
    own = 0 if "soup" in provenance else provenance["config"].get("ferplus_share", 0)
    start = {own: "In"}
    return [
        f"{start.get(share, 'Earlier steps: in')} addition to FER2013's labels, the votes of FER+'s ten taggers "
        f"per face (`--ferplus`{digest}) have a share of {share:g} in the training targets."
        for share, digest in found.items()
    ]


def _describe_list(row_list: dict[str, Any], train_split: str) -> str:
    return (
        f"`{row_list['flag']} {row_list['file']}` names {row_list['num_rows']:,} rows of {train_split}; "
        f"SHA-256 `{row_list['sha256']}`."
    )


def _left_out(provenance: dict[str, Any]) -> tuple[int, int]:
    """Return the number of training rows that were left out, and how many of them by lists."""
    train_split = provenance["config"]["train_split"]
    left_out = provenance["data_rows"][train_split] - provenance["num_faces"][train_split]
    return left_out, max(left_out - provenance["num_twins"], 0)


def describe_recipe(stem: str, provenance: dict[str, Any]) -> list[str]:
    """Return Markdown blocks with the config of each step, under the file name that `retrain_commands` uses."""
    blocks = ["## Recipe"]
    steps = _steps(stem, provenance)
    for name, step in steps:
        if "soup" in step:
            blocks.append(_describe_soup(name, step["soup"]))
            continue
        config = dict(step["config"])
        if "init" in step:
            del config["init"]  # a local path; the command passes it as a flag
        if config.get("distillation"):  # names as in the command: in the current folder
            config["distillation"] = config["distillation"] | {"teachers": _teacher_files(step, steps)}
        text = yaml.safe_dump(config, sort_keys=False)
        blocks += [f"`{name}.yaml`, seed {config['seed']}:", f"```yaml\n{text}```"]
        if "recalibrated_on" in step:
            blocks.append(f"Then {_describe_recalibration(step)}.")
        if "logit_adjustment" in step:
            blocks.append(
                f"Logits are adjusted by {step['logit_adjustment']['strength']:g} of the log prior of each class "
                "(Menon et al. 2021, arXiv 2007.07314), in the bias of the classifier."
            )
    return blocks


def _describe_soup(name: str, soup: dict[str, Any]) -> str:
    """Return which models were averaged and, if there was a choice, which were left out."""
    tried = len(soup["ingredients"]) + len(soup["left_out"])
    text = f"`{name}`: mean of the weights of {_names(soup['ingredients'])}; {_describe_recalibration(soup)}."
    if soup["chosen_on"] is None:
        return text
    left_out = f"; left out: {_names(soup['left_out'])}" if soup["left_out"] else ""
    return f"{text} Accuracy on {soup['chosen_on']} chose them, the best first, from {tried} models{left_out}."


def _describe_recalibration(step: dict[str, Any]) -> str:
    if step["recalibrated_on"] is None:
        return "batch-norm statistics are the mean of those models' statistics"
    return f"batch-norm statistics were measured again on {step['recalibrated_on']:,} unaugmented training faces"


def _names(ingredients: list[dict[str, Any]]) -> str:
    are_equal = len({ingredient.get("weight") for ingredient in ingredients}) == 1
    shares = ["" if are_equal else f"{ingredient['weight']:g} of " for ingredient in ingredients]
    return ", ".join(
        f"{share}`{ingredient['path']}` (SHA-256 `{ingredient['sha256'][:12]}`)"
        for share, ingredient in zip(shares, ingredients, strict=True)
    )


def describe_provenance(stem: str, provenance: dict[str, Any]) -> list[str]:
    """Return Markdown blocks about versions, seeds, machines, ancestors and teachers."""
    lines = []
    steps = _steps(stem, provenance)
    for name, step in steps:
        on = f", on {step['hardware']}" if "hardware" in step else ""
        on += f", in {step['precision']}" if "precision" in step else ""
        on += f", {step['num_processes']} processes" if step.get("num_processes", 1) > 1 else ""
        seed = "" if "soup" in step else f", seed {step['config']['seed']}"
        lines.append(
            f"- {name}: finished {step['created']}, fer-train {step['fer_train']}, torch {step['torch']}"
            f"{seed}{on}; weights from {_start(step, steps)}"
        )
        lines += [f"    - taught by {_describe_teacher(teacher)}" for teacher in step.get("teachers", [])]
    if "measured_on" in provenance:
        lines.append(f"- measurements: the weights of this file, in float32, on {provenance['measured_on']}")
    return ["## Provenance", "\n".join(lines)]


def _start(step: dict[str, Any], steps: list[tuple[str, dict[str, Any]]]) -> str:
    names = [name for parent in _parents(step) for name, known in steps if known == parent]
    if names:
        return f"the mean of {', '.join(names)}" if "soup" in step else names[0]
    pretrained = step["config"].get("pretrained")
    return f"`{Path(pretrained).name}`, trained on other data by others" if pretrained else "random numbers"


def _describe_teacher(teacher: dict[str, Any]) -> str:
    who = f"`{teacher['path']}` ({teacher['architecture']}, weight {teacher['weight']:.2g})"
    return f"{who}, SHA-256 `{teacher['sha256']}`"


def retrain_commands(stem: str, provenance: dict[str, Any], *, release: str) -> list[str]:
    """Return Markdown blocks with the commands of all steps and of the release.

    Args:
        stem: file name of the card without suffix; names of configs and runs derive from it.
        provenance: provenance of the last step.
        release: flags of the release command that the provenance does not contain.
    """
    commands: list[str] = []
    weights: list[tuple[dict[str, Any], Path]] = []
    steps = _steps(stem, provenance)
    for name, step in steps:
        starts = [path for parent in _parents(step) for known, path in weights if known == parent]
        file = "soup" if "soup" in step else step.get("kept", "best")
        out = Path("runs") / name / f"{file}.safetensors"
        is_soup, teachers = "soup" in step, _teacher_files(step, steps)
        commands.append(_soup_command(step, starts, out) if is_soup else _train_command(name, step, starts, teachers))
        is_last = name == steps[-1][0]
        recalibrate = "recalibrated_on" in step
        if is_last or recalibrate:
            words = ["fer-train release", f"--checkpoint {out}", "--data fer2013.csv"]
            words += ["--ferplus fer2013new.csv"] if _labels_of(step) == "ferplus" else []
            words += ["--recalibrate", *_list_flags(step, "recalibrated_row_lists")] if recalibrate else []
            adjusted = step.get("logit_adjustment")
            words += [f"--logit-adjustment {adjusted['strength']:g}"] if adjusted else []
            out = Path("runs") / name / "release.safetensors"
            commands.append(" ".join([*words, release if is_last else f"--out {out}"]))
        weights.append((step, out))
    blocks = ["## Retrain", "```\n" + "\n".join(commands) + "\n```"]
    are_named = all("row_lists" in step for _, step in steps)
    if not are_named and "data_rows" in provenance and (by_list := _left_out(provenance)[1]):
        blocks.append(
            f"{by_list:,} rows were left out by lists: add `--twin-rows` or `--exclude` with these lists to each "
            "command without one. With all splits of FER2013 in one file, twins are found without a list."
        )
    return blocks


def _soup_command(step: dict[str, Any], starts: list[Path], out: Path) -> str:
    """Return the command that averages the kept ingredients; the choice is not repeated."""
    words = ["fer-train soup", *(f"--checkpoint {start}" for start in starts), "--data fer2013.csv"]
    weights = [ingredient.get("weight") for ingredient in step["soup"]["ingredients"]]
    words += [f"--weights {weight:g}" for weight in weights] if len(set(weights)) > 1 else []
    words += ["--batch-norm mean"] if step["soup"]["recalibrated_on"] is None else []
    words += ["--ferplus fer2013new.csv"] if _labels_of(step) == "ferplus" else []
    return " ".join([*words, *_list_flags(step, "row_lists"), f"--out {out}"])


def _teacher_files(step: dict[str, Any], steps: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return a file name for each teacher, with the start of its SHA-256 where the steps have others of that name."""
    digests: dict[str, set[str]] = {}
    for _, other in steps:
        for teacher in other.get("teachers", []):
            digests.setdefault(Path(teacher["path"]).name, set()).add(teacher["sha256"])
    own = [(Path(teacher["path"]).name, teacher["sha256"]) for teacher in step.get("teachers", [])]
    names = []
    paths = [Path(teacher) for teacher in (step["config"].get("distillation") or {}).get("teachers", [])]
    if any(
        path.suffix.lower() == ".json" for path in paths
    ):  # the members of an ensemble are recorded, and not which are its
        return [path.name for path in paths]
    for path in paths:
        found = next((known for known in own if known[0] == path.name), None)
        if found is None or len(digests[path.name]) == 1:
            names.append(path.name)
            continue
        own.remove(found)  # two teachers of one step may have one name: they are recorded in the config's order
        names.append(f"{path.stem}-{found[1][:8]}{path.suffix}")
    return names


def _train_command(name: str, step: dict[str, Any], starts: list[Path], teachers: list[str]) -> str:
    config = step["config"]
    words = ["fer-train", "distill" if teachers else "train", f"--config {name}.yaml", "--data fer2013.csv"]
    words += [f"--teacher {teacher}" for teacher in teachers]
    uses_votes = config.get("ferplus_share") or "ferplus_sha256" in step
    words += ["--ferplus fer2013new.csv"] if uses_votes else []
    words += [f"--init {start}" for start in starts]
    return " ".join([*words, *_list_flags(step, "row_lists"), f"--out runs/{name}"])


def _list_flags(step: dict[str, Any], key: str) -> list[str]:
    """Return e.g. ["--exclude exclude.csv"]; empty for a step of an older version, which did not record its lists."""
    return [f"{row_list['flag']} {row_list['file']}" for row_list in step.get(key, [])]


def _steps(stem: str, provenance: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return (name, provenance) of the run and of all its ancestors, each once, the oldest first."""
    found: list[dict[str, Any]] = []
    for step in _with_ancestors(provenance):
        if step not in found:  # ingredients of a soup share the release that they started from
            found.append(step)
    return [(f"{stem}-{i}" if len(found) > 1 else stem, step) for i, step in enumerate(found, start=1)]


def _with_ancestors(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for parent in _parents(step):
        yield from _with_ancestors(parent)
    yield step


def _parents(step: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provenance of the models whose weights a step started from."""
    if "soup" in step:
        return [ingredient["provenance"] for ingredient in step["soup"]["ingredients"]]
    return [step["init"]] if "init" in step else []
