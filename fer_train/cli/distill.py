"""fer-train distill: train one model on the answers of others beside the labels."""

import functools
from pathlib import Path
from typing import Any

import click

from fer_train.cli import options
from fer_train.cli.train import train_and_tell
from fer_train.config_file import load_config


@click.command("distill")
@functools.partial(options.training, suffix="-distilled")
@click.option("--resume", is_flag=True, help="Go on from OUT/last.pt.")
@click.option("--teacher", "teachers", required=True, multiple=True,
              help="Release (.safetensors) or ensemble (.json); several are averaged.")  # fmt: skip
@click.option("--weight", type=float, help="Of the teachers in the loss, 0 to 1.  [default: the config's, or 0.5]")
@click.option("--temperature", type=float, help="Softens the answers.  [default: the config's, or 2]")
@click.option("--cached/--each-batch", default=None, help="Ask the teachers once, or on each augmented batch.")
@click.option("--init", help="Start from these weights (.safetensors).")
def command(config_path: Path, out: Path | None, resume: bool, tensorboard: bool, teachers: tuple[str, ...],
            weight: float | None, temperature: float | None, cached: bool | None, init: str | None,
            **rest: Any) -> None:  # fmt: skip
    """Train the config's model on what teachers say of each face; writes what `train` writes."""
    overrides, files = options.split_training_flags(rest)
    written = load_config(config_path).distillation
    given = {"weight": weight, "temperature": temperature, "cached": cached}
    settings = {} if written is None else written.model_dump()
    settings |= {"teachers": teachers} | {k: v for k, v in given.items() if v is not None}
    config = load_config(config_path, overrides | {"distillation": settings} | ({"init": init} if init else {}))
    faces = options.load_training_faces(config, **files)
    out = options.run_folder(out, config_path, quick=files["quick"], suffix="-distilled")
    train_and_tell(config, faces, out, resume=resume, tensorboard=tensorboard)
