"""fer-train evaluate: measure a checkpoint on one split."""

import json
from pathlib import Path

import click
from rich.console import Console

from fer_train import checkpoint
from fer_train.amp import resolve_device
from fer_train.cli import options
from fer_train.data import read_faces, take_split
from fer_train.evaluate import evaluate
from fer_train.report import metrics_table, plot_confusion


@click.command("evaluate")
@click.option("--checkpoint", "checkpoint_path", required=True, type=options.PATH, help=".safetensors")
@options.data
@click.option("--split", default="PublicTest", show_default=True)
@click.option("--flip", is_flag=True, help="Average over each face and its mirror image (test-time augmentation).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--confusion", type=options.PATH, help="Write the confusion matrix here, as PNG.")
@options.device
def command(checkpoint_path: Path, data_path: Path, split: str, flip: bool, as_json: bool,
            confusion: Path | None, device: str | None) -> None:  # fmt: skip
    """Measure a checkpoint on one split."""
    target = resolve_device(device or "auto")
    model, spec = checkpoint.load_release(checkpoint_path)
    wanted = spec["input"]
    faces = take_split(read_faces(data_path), split).resized(wanted["height"])
    metrics = evaluate(model.to(target), faces, device=target, flip=flip, mean_std=(wanted["mean"], wanted["std"]))
    if confusion is not None:
        plot_confusion(metrics, spec["labels"], confusion)
    if as_json:
        click.echo(json.dumps({"checkpoint": str(checkpoint_path), "split": split, "flip": flip} | metrics.to_dict()))
    else:
        Console().print(metrics_table(metrics, title=f"{checkpoint_path} on {split}, {'flip' if flip else 'plain'}"))
