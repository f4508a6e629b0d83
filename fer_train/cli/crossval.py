"""fer-train crossval: train k models and measure each on its held-out part of the training split."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_train.cli import training_inputs
from fer_train.distributed import is_first_process
from fer_train.training.repeat import cross_validate, require_unseen_folds, spread_table


def crossval(config_path: Path, out: Path | None, tensorboard: bool, folds: int, **rest: Any) -> None:
    """Cross-validate on the training split; see `fer_train.cli.flags.crossval` for the flags."""
    overrides, files = training_inputs.split_training_flags(rest)
    config = training_inputs.config_of(config_path, overrides)
    require_unseen_folds(config)
    training_inputs.require_weights_of(config, out, config_path, quick=files["quick"], suffix="-crossval")
    faces = training_inputs.load_training_faces(config, **files)
    out = training_inputs.run_folder(out, config_path, quick=files["quick"], suffix="-crossval")
    with training_inputs.resume_hint(out, "go on with the same command"):
        summary = cross_validate(config, faces, out, num_folds=folds, tensorboard=tensorboard)
    if is_first_process():
        Console().print(spread_table(summary, title=f"{folds} folds of {config_path}"))
        click.echo(f"predictions of unseen faces: {out / 'out_of_fold.npz'} (for fer-train audit --predictions)")
