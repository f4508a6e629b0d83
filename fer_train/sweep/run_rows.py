"""Rows of the table of runs: recipe, epochs, minutes and measures, from a run's folder or from released weights."""

import functools
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fer_train.checkpoint import load_state, read_spec_json
from fer_train.config_file import config_from_dict, load_config
from fer_train.data.readers.cache import file_sha256
from fer_train.errors import CheckpointError, ConfigError
from fer_train.privacy.portable_paths import shown_path
from fer_train.sweep.table_files import today

_RELEASE = "release.safetensors"
DIGEST_FORM = "2"
"""Begins the digests of rows. Digests of another form cannot be compared with them."""
_SPLIT = "PublicTest"
_CONFIGS = Path(__file__).parents[2] / "configs" / "train"
"""The recipes of the repository; an installed package has none."""


def row_of_run(folder: Path, name: str = "") -> dict[str, Any]:
    """Return the row of a folder of fer-train train.

    Its figures are those of the release. Without one they are those of the validation after the last finished epoch.

    Args:
        folder: of the run.
        name: of the row; empty: the folder's.

    Raises:
        ConfigError: no epoch is finished; or there is no release, and the run was not validated on PublicTest.
        CheckpointError: a file of the run cannot be used.
    """
    history = _history(folder)
    files = [folder / f"{kind}.safetensors" for kind in ("release", "final", "best")]
    path = next((file for file in files if file.exists()), files[-1])
    row = _row(path) if path == files[0] else _row(path, history[-1])
    minutes = sum(epoch["seconds"] for epoch in history) / 60
    steps = [*row["epochs_of_steps"][:-1], len(history)]
    return row | {
        "run": name or folder.resolve().name,
        "flags": _flags("--run", folder, name),
        "epochs": len(history),
        "minutes": minutes,
        "epochs_of_steps": steps,
        "minutes_of_steps": [minutes] if len(steps) == 1 else None,
        "validated": history[-1]["accuracy"] if _knew_labels(json.loads(read_spec_json(path))) else None,
    }


def _knew_labels(spec: Mapping[str, Any]) -> bool:
    """Return whether the run was validated against the labels that it learned, not against its teachers' or others."""
    provenance = spec["provenance"]
    is_judged = provenance.get("validated_against") == "teachers"
    return not is_judged and (spec.get("label_set") != "ferplus" or "ferplus_sha256" in provenance)


def _history(folder: Path) -> list[dict[str, float]]:
    """Return a row for each finished epoch: last.pt has them from the first on, history.json after the last one."""
    path, state = folder / "history.json", folder / "last.pt"
    if not (path.exists() or state.exists()):
        raise ConfigError(
            f"{folder} has no history.json and no last.pt, which fer-train train writes. "
            "Fix: the folder of a run with a finished epoch, or --release for released weights alone"
        )
    if not path.exists():
        history: list[dict[str, float]] = load_state(state, mmap=True)["history"]
        return history
    try:
        history = [{key: epoch[key] for key in ("seconds", "accuracy", "f1")} for epoch in json.loads(path.read_text())]
        if history:
            return history
        raise ValueError("it has no epoch")
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise CheckpointError(f"cannot use {path}: {err!r}. Fix: the file of fer-train train") from err


def _flags(flag: str, path: Path, name: str) -> str:
    """Return the words that make a row."""
    return f"{flag} {shlex.quote(f'{name}={shown_path(path)}' if name else shown_path(path))}"


def row_of_release(path: Path, name: str = "") -> dict[str, Any]:
    """Return the row of released weights, with the epochs of their recipe and of the recipes before it.

    Args:
        path: of the weights.
        name: of the row; empty: the file's.

    Raises:
        CheckpointError: unreadable, or without origin or measures of PublicTest.
    """
    return _row(path) | {"run": name or path.stem, "flags": _flags("--release", path, name)}


def _row(path: Path, last: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Return the row of weights; `last` is the last epoch of a run that has no release."""
    spec = json.loads(read_spec_json(path))
    try:
        provenance = spec["provenance"]
        figures = _released(spec) if last is None else _validated(path, spec, last)
        config, steps = provenance["config"], _steps(provenance)
        is_soup = "soup" in provenance
        num_epochs = None if is_soup else config["num_epochs"]
        # The figures of a run without a release are those of its last epoch, whichever weights tell the recipe.
        whole = steps if last is None else steps[:-1]
        return {
            "config": None if is_soup else _shipped_name(config),
            "model": config["model"],
            "seed": None if is_soup else config["seed"],
            "epochs": num_epochs,
            "planned": num_epochs,
            "minutes": None,
            "epochs_of_steps": [step["config"]["num_epochs"] for step in steps],
            "minutes_of_steps": None,
            "all_epochs_kept": all(step.get("kept") == "final" for step in whole),
            "hardware": provenance.get("hardware"),
            "start": _start(provenance),
            "teachers": _teachers(provenance),
            "ferplus_share": config.get("ferplus_share", 0.0),
            "labels": spec.get("label_set") or "fer2013",
            **figures,
            "recipe": _digest(provenance),
            "file": shown_path(path),
            "sha256": file_sha256(path),
            "date": today(),
            "told": [],
        }
    except (KeyError, TypeError) as err:
        raise CheckpointError(
            f"{path} does not say how it was trained, or was not measured on {_SPLIT} ({err} is absent). "
            f"Fix: weights of fer-train release, with --split {_SPLIT}"
        ) from err


def _released(spec: Mapping[str, Any]) -> dict[str, Any]:
    plain, flip = (spec["metrics"][_SPLIT][view] for view in ("plain", "flip"))
    figures = {"plain": plain["accuracy"], "flip": flip["accuracy"], "f1": plain["f1"]}
    return {"released": True, **figures, "validated": None}


def _validated(path: Path, spec: Mapping[str, Any], last: Mapping[str, float]) -> dict[str, Any]:
    split = spec["provenance"]["config"].get("validation_split", _SPLIT)
    known = "" if split == _SPLIT else f"on {split}; this is a table of {_SPLIT}"
    known = known or ("" if _knew_labels(spec) else "without FER+'s votes; this is a table of their majority")
    if known:
        votes = "" if _knew_labels(spec) else " and --ferplus"
        raise ConfigError(
            f"{path.parent} has no {_RELEASE} and was validated {known}. Fix: fer-train release --checkpoint {path} "
            f"--split {_SPLIT} --out {path.with_name(_RELEASE)}, with its --data{votes}"
        )
    return {"released": False, "plain": last["accuracy"], "flip": None, "f1": last["f1"]}


def _digest(provenance: Mapping[str, Any]) -> str:
    """Return a digest of what a run begins with, except its seed: recipe, data, start and teachers.

    Files count by their content, wherever they were and whatever their names; files of pretrained weights by name.
    """
    start, averaged = provenance.get("init"), provenance.get("soup", {}).get("ingredients", [])
    files = [*provenance.get("row_lists", []), *provenance.get("teachers", []), *averaged]
    parts = [
        _recipe(provenance["config"]),
        provenance.get("data_sha256"),
        provenance.get("ferplus_sha256"),
        Path(provenance["config"].get("pretrained") or "").name,
        [(file.get("sha256"), file.get("weight")) for file in files],
        provenance.get("soup", {}).get("recalibrated_on"),
        start and [start.get("created"), _digest(start), start.get("recalibrated_on"), start.get("logit_adjustment")],
    ]
    return f"{DIGEST_FORM}:{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}"


def _recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without the seed and without what one machine has: names of files, device, precision."""
    try:
        parsed = config_from_dict(config, where="provenance")
        settings = parsed.model_dump(mode="json", exclude_defaults=True)  # a later version may have more keys
    except ConfigError:  # of a version with other keys
        settings = dict(config)
    without = {"seed", "init", "device", "precision"}
    settings = {key: value for key, value in settings.items() if key not in without}
    if distillation := settings.get("distillation"):
        settings["distillation"] = {key: value for key, value in distillation.items() if key != "teachers"}
    return settings | {"pretrained": settings.get("pretrained") is not None}


def _shipped_name(config: Mapping[str, Any]) -> str | None:
    """Return the names of the repository's configs with this recipe, or None where there is none."""
    recipe = _recipe(config)
    return ", ".join(name for name, shipped in _shipped_recipes().items() if shipped == recipe) or None


@functools.cache
def _shipped_recipes() -> dict[str, dict[str, Any]]:
    return {path.stem: _recipe(load_config(path).model_dump(mode="json")) for path in sorted(_CONFIGS.glob("*.yaml"))}


def _steps(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provenance of every run whose epochs are in the weights, each once, the oldest first."""
    found: list[dict[str, Any]] = []
    for step in _with_ancestors(provenance):
        if step not in found:  # ingredients of a soup share the release that they started from
            found.append(step)
    return found


def _with_ancestors(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "soup" in step:  # a soup has no epochs of its own
        for ingredient in step["soup"]["ingredients"]:
            yield from _with_ancestors(ingredient["provenance"])
        return
    if "init" in step:
        yield from _with_ancestors(step["init"])
    yield step


def _start(provenance: dict[str, Any]) -> str | None:
    """Return which weights the run began with, or None where that was not recorded."""
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
