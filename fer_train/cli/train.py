"""fer-train train: one run, from a config."""

import sys
from pathlib import Path
from typing import Any

import click

from fer_train.cli import options
from fer_train.config import load_config
from fer_train.loop import fit
from fer_train.progress import TrainingProgress
from fer_train.report import plot_history


@click.command("train")
@click.option("--config", "config_path", required=True, type=options.PATH, help="YAML; see configs/train/.")
@options.data
@options.ferplus
@options.twin_rows
@options.exclude
@click.option("--out", type=options.PATH, help="Folder of the run.  [default: runs/<name of the config>]")
@click.option("--resume", is_flag=True, help="Go on from OUT/last.pt.")
@click.option("--init", help="Start from these weights (.safetensors): fine-tuning.")
@click.option("--validation-split", help="Override validation_split, such as test for a plain image folder.")
@click.option("--epochs", "num_epochs", type=int, help="Override num_epochs.")
@options.device
def command(config_path: Path, data_path: Path, ferplus: Path | None, twin_rows: Path | None, exclude: Path | None,
            out: Path | None, resume: bool, **overrides: Any) -> None:  # fmt: skip
    """Train one model; writes OUT/best.safetensors, OUT/last.pt, history and curves."""
    config = load_config(config_path, {k: v for k, v in overrides.items() if v is not None})
    faces = options.load_training_faces(config, data_path, ferplus=ferplus, twin_rows=twin_rows, exclude=exclude)
    out = out or Path("runs") / config_path.stem
    try:
        with TrainingProgress(config) as progress:
            run = fit(config, faces, out, resume=resume, on_step=progress.on_step, on_epoch=progress.on_epoch)
    except KeyboardInterrupt:
        saved = "go on with the same command and --resume" if (out / "last.pt").exists() else "no epoch was finished"
        click.echo(f"stopped; {saved}", err=True)
        sys.exit(130)
    plot_history(run.history, out / "history.png")
    best = max(run.history, key=lambda row: row["accuracy"])
    click.echo(
        f"best {config.validation_split} accuracy {best['accuracy']:.2%} in epoch {best['epoch'] + 1}: "
        f"{out / 'best.safetensors'} (curves: {out / 'history.png'})"
    )
