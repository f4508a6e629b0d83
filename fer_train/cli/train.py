"""fer-train train: one run from a config, or one for each of several seeds."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_train.cli import training_inputs
from fer_train.config import TrainConfig
from fer_train.data import Faces
from fer_train.distributed import is_first_process
from fer_train.training.repeat import parse_seeds, spread_table, train_seeds
from fer_train.training.session import train_one


def train(
    config_path: Path,
    out: Path | None,
    resume: bool,
    seeds: str | None,
    tensorboard: bool,
    init: str | None,
    **rest: Any,
) -> None:
    """Train one model, or one for each seed; see `fer_train.cli.flags.train` for the flags."""
    overrides, files = training_inputs.split_training_flags(rest)
    config = training_inputs.config_of(config_path, overrides | ({"init": init} if init else {}))
    training_inputs.require_weights_of(config, out, config_path, quick=files["quick"])
    faces = training_inputs.load_training_faces(config, **files)
    out = training_inputs.run_folder(out, config_path, quick=files["quick"])
    if seeds is None:
        train_and_tell(config, faces, out, resume=resume, tensorboard=tensorboard)
        return
    with training_inputs.resume_hint(out, "go on with the same command"):
        summary = train_seeds(config, faces, out, seeds=parse_seeds(seeds), tensorboard=tensorboard)
    if is_first_process():
        Console().print(spread_table(summary, title=str(config_path)))


def train_and_tell(config: TrainConfig, faces: Faces, out: Path, *, resume: bool, tensorboard: bool) -> None:
    """Train one model and print its best epoch."""
    with training_inputs.resume_hint(out, "go on with the same command and --resume (make does so by itself)"):
        run = train_one(config, faces, out, resume=resume, tensorboard=tensorboard)
    if not run.world.is_first:
        return
    best = max(run.history, key=lambda row: row["accuracy"])
    figure = "agreement with the teachers" if run.is_judged_by_teachers else "accuracy"
    click.echo(
        f"best {config.validation_split} {figure} {best['accuracy']:.2%} in epoch {best['epoch'] + 1}: "
        f"{out / 'best.safetensors'}; last epoch {run.history[-1]['accuracy']:.2%}: {out / 'final.safetensors'} "
        f"(curves: {out / 'history.png'})"
    )
