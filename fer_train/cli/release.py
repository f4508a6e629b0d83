"""fer-train release: fp16 weights, measured as they are in the file, with a model card beside them."""

from pathlib import Path

import click
import torch

from fer_train import checkpoint
from fer_train.amp import resolve_device
from fer_train.cli import options
from fer_train.config import config_from_dict
from fer_train.data import read_faces, take_split
from fer_train.evaluate import evaluate
from fer_train.recalibrate import recalibrate_batch_norm


@click.command("release")
@click.option("--checkpoint", "checkpoint_path", required=True, type=options.PATH, help="best.safetensors")
@options.data
@click.option("--split", default="PublicTest", show_default=True, help="Measured and written into the release.")
@click.option("--recalibrate", is_flag=True, help="Measure batch-norm statistics anew, on training faces as they are.")
@options.twin_rows
@options.exclude
@click.option("--out", required=True, type=options.PATH)
@options.device
def command(checkpoint_path: Path, data_path: Path, split: str, recalibrate: bool, twin_rows: Path | None,
            exclude: Path | None, out: Path, device: str | None) -> None:  # fmt: skip
    """Write fp16 weights, with the metrics of those very weights in their ModelSpec."""
    target = resolve_device(device or "auto")
    model, spec = checkpoint.load_release(checkpoint_path)
    wanted = spec["input"]
    mean_std = (wanted["mean"], wanted["std"])
    if recalibrate:
        config = config_from_dict(spec["provenance"]["config"], where=str(checkpoint_path))
        kept = options.load_training_faces(config, data_path, twin_rows=twin_rows, exclude=exclude)
        training = take_split(kept, config.train_split).resized(wanted["height"])
        recalibrate_batch_norm(model.to(target), training.images, device=target, mean_std=mean_std)
        spec["provenance"]["recalibrated_on"] = len(training)
    model = model.half().float().to(target)
    faces = take_split(read_faces(data_path), split).resized(wanted["height"])
    measured = {
        name: evaluate(model, faces, device=target, flip=flip, mean_std=mean_std).to_dict()
        for name, flip in (("plain", False), ("flip", True))
    }
    checkpoint.save_release(out, model, spec | {"metrics": {split: measured}}, torch.float16)
    click.echo(
        f"{out}: {split} accuracy {measured['plain']['accuracy']:.2%} plain, {measured['flip']['accuracy']:.2%} flip"
    )
