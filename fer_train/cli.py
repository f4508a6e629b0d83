"""fer-train: train, evaluate and release from the command line. Holds no logic beyond reading flags and printing."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.logging import RichHandler

from fer_train import __version__, checkpoint
from fer_train.amp import resolve_device
from fer_train.config import TrainConfig, config_from_dict, load_config
from fer_train.data import Faces, apply_protocol, read_faces, take_split
from fer_train.data.splits import read_twin_rows
from fer_train.errors import FerTrainError
from fer_train.evaluate import evaluate
from fer_train.loop import fit
from fer_train.progress import TrainingProgress
from fer_train.recalibrate import recalibrate_batch_norm
from fer_train.report import metrics_table, plot_confusion, plot_history

_data = click.option(
    "--data", "data_path", required=True, type=click.Path(path_type=Path),
    help="fer2013.csv, icml_face_data.csv, or a folder with train/<class>/ and test/<class>/.",
)  # fmt: skip
_device = click.option("--device", default=None, help="auto, cpu, cuda or cuda:N.")


class _Group(click.Group):
    """Turns the package's errors into one clear message and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FerTrainError as err:
            click.echo(f"error: {err}", err=True)
            sys.exit(err.exit_code)


@click.group(cls=_Group)
@click.version_option(__version__)
def main() -> None:
    """Train face-emotion models on FER2013."""
    console = Console(stderr=True)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console)])


@main.command()
@click.option(
    "--config", "config_path", required=True, type=click.Path(path_type=Path), help="YAML; see configs/train/."
)
@_data
@click.option(
    "--ferplus",
    type=click.Path(path_type=Path),
    help="FER+ votes (fer2013new.csv): joined by row and checked; training does not use them yet.",
)
@click.option("--twin-rows", type=click.Path(path_type=Path),
              help="Row numbers left out under the clean protocol: twins of a split that this copy lacks.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/<name of the config>]")
@click.option("--resume", is_flag=True, help="Go on from OUT/last.pt.")
@click.option("--init", help="Start from these weights (.safetensors): fine-tuning.")
@click.option("--validation-split", help="Override validation_split, such as test for a plain image folder.")
@click.option("--epochs", "num_epochs", type=int, help="Override num_epochs.")
@_device
def train(config_path: Path, data_path: Path, ferplus: Path | None, twin_rows: Path | None, out: Path | None,
          resume: bool, **overrides: Any) -> None:  # fmt: skip
    """Train one model; writes OUT/best.safetensors, OUT/last.pt, history and curves."""
    config = load_config(config_path, {k: v for k, v in overrides.items() if v is not None})
    faces = _load(config, data_path, ferplus, twin_rows)
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


def _load(config: TrainConfig, data_path: Path, ferplus: Path | None, twin_rows: Path | None) -> Faces:
    faces = read_faces(data_path, ferplus=ferplus)
    rows = None if twin_rows is None else read_twin_rows(twin_rows)
    kept = apply_protocol(faces, config.protocol, config.train_split, rows)
    logging.info("%s protocol leaves out %d rows: %s", config.protocol, len(faces) - len(kept), kept.counts())
    return kept


def _load_split(data_path: Path, split: str, spec: dict[str, Any]) -> tuple[Faces, tuple[float, float]]:
    """Return the faces in the size that the checkpoint was made for, and its normalization."""
    wanted = spec["input"]
    faces = take_split(read_faces(data_path), split).resized(wanted["height"])
    return faces, (wanted["mean"], wanted["std"])


@main.command("evaluate")
@click.option("--checkpoint", "checkpoint_path", required=True, type=click.Path(path_type=Path), help=".safetensors")
@_data
@click.option("--split", default="PublicTest", show_default=True)
@click.option("--flip", is_flag=True, help="Average over each face and its mirror image (test-time augmentation).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--confusion", type=click.Path(path_type=Path), help="Write the confusion matrix here, as PNG.")
@_device
def evaluate_command(checkpoint_path: Path, data_path: Path, split: str, flip: bool, as_json: bool,
                     confusion: Path | None, device: str | None) -> None:  # fmt: skip
    """Measure a checkpoint on one split."""
    target = resolve_device(device or "auto")
    model, spec = checkpoint.load_release(checkpoint_path)
    faces, mean_std = _load_split(data_path, split, spec)
    metrics = evaluate(model.to(target), faces, device=target, flip=flip, mean_std=mean_std)
    if confusion is not None:
        plot_confusion(metrics, spec["labels"], confusion)
    if as_json:
        click.echo(json.dumps({"checkpoint": str(checkpoint_path), "split": split, "flip": flip} | metrics.to_dict()))
    else:
        Console().print(metrics_table(metrics, title=f"{checkpoint_path} on {split}, {'flip' if flip else 'plain'}"))


@main.command()
@click.option(
    "--checkpoint", "checkpoint_path", required=True, type=click.Path(path_type=Path), help="best.safetensors"
)
@_data
@click.option("--split", default="PublicTest", show_default=True, help="Measured and written into the release.")
@click.option("--recalibrate", is_flag=True, help="Measure batch-norm statistics anew, on training faces as they are.")
@click.option("--twin-rows", type=click.Path(path_type=Path), help="With --recalibrate: as for train.")
@click.option("--out", required=True, type=click.Path(path_type=Path))
@_device
def release(checkpoint_path: Path, data_path: Path, split: str, recalibrate: bool, twin_rows: Path | None,
            out: Path, device: str | None) -> None:  # fmt: skip
    """Write fp16 weights, with the metrics of those very weights in their ModelSpec."""
    target = resolve_device(device or "auto")
    model, spec = checkpoint.load_release(checkpoint_path)
    if recalibrate:
        config = config_from_dict(spec["provenance"]["config"], where=str(checkpoint_path))
        training = take_split(_load(config, data_path, None, twin_rows), config.train_split)
        wanted = spec["input"]
        images = training.resized(wanted["height"]).images
        recalibrate_batch_norm(model.to(target), images, device=target, mean_std=(wanted["mean"], wanted["std"]))
        spec["provenance"]["recalibrated_on"] = len(training)
    model = model.half().float().to(target)
    faces, mean_std = _load_split(data_path, split, spec)
    measured = {
        name: evaluate(model, faces, device=target, flip=flip, mean_std=mean_std).to_dict()
        for name, flip in (("plain", False), ("flip", True))
    }
    checkpoint.save_release(out, model, spec | {"metrics": {split: measured}}, torch.float16)
    click.echo(
        f"{out}: {split} accuracy {measured['plain']['accuracy']:.2%} plain, {measured['flip']['accuracy']:.2%} flip"
    )
