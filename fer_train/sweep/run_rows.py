"""Rows of the table of runs: recipe, epochs, minutes and measures, from a run's folder or from released weights."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fer_train.checkpoint import read_spec_json
from fer_train.config_file import load_config
from fer_train.errors import CheckpointError, ConfigError
from fer_train.privacy.portable_paths import shown_path

_RELEASE = "release.safetensors"


def row_of_run(folder: Path) -> dict[str, Any]:
    """Return the row of a folder of fer-train train that has its release beside its history.

    Raises:
        ConfigError: no history, as of a run that is not finished, or no release.
        CheckpointError: as `row_of_release`.
    """
    try:
        history = json.loads((folder / "history.json").read_text())
        minutes = sum(epoch["seconds"] for epoch in history) / 60
    except FileNotFoundError as err:
        raise ConfigError(
            f"{folder} has no history.json, which fer-train train writes after the last epoch. "
            "Fix: the folder of a finished run, or --release for released weights alone"
        ) from err
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise ConfigError(f"cannot use {folder / 'history.json'}: {err}. Fix: the file of fer-train train") from err
    if not (folder / _RELEASE).exists():
        raise ConfigError(f"{folder} has no {_RELEASE}. Fix: {_release_command(folder)}")
    row = row_of_release(folder / _RELEASE)
    steps = [*row["epochs_of_steps"][:-1], len(history)]
    return row | {
        "run": folder.resolve().name,
        "flags": f"--run {shlex.quote(shown_path(folder))}",
        "epochs": len(history),
        "minutes": minutes,
        "epochs_of_steps": steps,
        "minutes_of_steps": [minutes] if len(steps) == 1 else None,
    }


def _release_command(folder: Path) -> str:
    """Return the command that makes the release of a run: batch norm of FER+ labels is not measured again."""
    try:
        learns_ferplus = load_config(folder / "config.yaml").labels == "ferplus"
    except ConfigError:  # none there, or of another version
        learns_ferplus = False
    words = ["fer-train", "release", "--checkpoint", str(folder / "final.safetensors"), "--data", "fer2013.csv"]
    words += ["--ferplus", "fer2013new.csv"] if learns_ferplus else ["--recalibrate"]
    return shlex.join([*words, "--out", str(folder / _RELEASE)])


def row_of_release(path: Path) -> dict[str, Any]:
    """Return the row of released weights, with the epochs of their recipe and of the recipes before it.

    Raises:
        CheckpointError: unreadable, or without origin or measures of PublicTest.
    """
    spec = json.loads(read_spec_json(path))
    try:
        return _row(path, spec)
    except (KeyError, TypeError) as err:
        raise CheckpointError(
            f"{path} does not say how it was trained, or was not measured on PublicTest ({err} is absent). "
            "Fix: weights of fer-train release, with --split PublicTest"
        ) from err


def _row(path: Path, spec: dict[str, Any]) -> dict[str, Any]:
    provenance, measured = spec["provenance"], spec["metrics"]["PublicTest"]
    config, steps = provenance["config"], _steps(provenance)
    is_soup = "soup" in provenance
    own = {"seed": None if is_soup else config["seed"], "epochs": None if is_soup else config["num_epochs"]}
    return {
        "run": path.stem,
        "flags": f"--release {shlex.quote(shown_path(path))}",
        "model": config["model"],
        **own,
        "minutes": None,
        "epochs_of_steps": [step["config"]["num_epochs"] for step in steps],
        "minutes_of_steps": None,
        "all_epochs_kept": all(step.get("kept") == "final" for step in steps),
        "hardware": provenance.get("hardware"),
        "start": _start(provenance),
        "teachers": _teachers(provenance),
        "ferplus_share": config.get("ferplus_share", 0.0),
        "labels": spec.get("label_set") or "fer2013",
        "plain": measured["plain"]["accuracy"],
        "flip": measured["flip"]["accuracy"],
        "f1": measured["plain"]["f1"],
        "told": [],
    }


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
