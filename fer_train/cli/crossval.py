"""fer-train crossval: k models, each judged on the part of the training split that it did not see."""

import functools
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_train.cli import options
from fer_train.config_file import load_config
from fer_train.distributed import is_first_process
from fer_train.training.repeat import cross_validate, spread_table


@click.command("crossval")
@functools.partial(options.training, suffix="-crossval")
@click.option("--folds", default=5, show_default=True, type=click.IntRange(min=2))
def command(config_path: Path, out: Path | None, tensorboard: bool, folds: int, **rest: Any) -> None:
    """Cross-validate on the training split: stratified by class, faces of equal pixels in one fold.

    Writes OUT/fold-<n>, OUT/crossval.json and OUT/out_of_fold.npz, which `fer-train audit --predictions` reads.
    Goes on where it stopped.
    """
    overrides, files = options.split_training_flags(rest)
    config = load_config(config_path, overrides)
    faces = options.load_training_faces(config, **files)
    out = options.run_folder(out, config_path, quick=files["quick"], suffix="-crossval")
    with options.resume_hint(out, "go on with the same command"):
        summary = cross_validate(config, faces, out, num_folds=folds, tensorboard=tensorboard)
    if is_first_process():
        Console().print(spread_table(summary, title=f"{folds} folds of {config_path}"))
        click.echo(f"predictions of unseen faces: {out / 'out_of_fold.npz'} (for fer-train audit --predictions)")
