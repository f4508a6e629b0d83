"""fer-train evaluate: measure a checkpoint on one split, in several views, on all faces and on those without a twin."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from fer_train import checkpoint
from fer_train.amp import resolve_device
from fer_train.cli import options
from fer_train.cli.display import progress_bar, remind_of_test_split
from fer_train.data import read_faces
from fer_train.evaluate import Evaluation, evaluate_split
from fer_train.portable_paths import shown_path
from fer_train.report import metrics_table, plot_confusion, summary_table, write_plots
from fer_train.tta import VIEWS


@click.command("evaluate")
@click.option("--checkpoint", "checkpoint_path", required=True, type=options.PATH, help=".safetensors")
@options.data
@click.option("--split", default="PublicTest", show_default=True)
@click.option("--ten-crop", is_flag=True, help="Also the mean over ten crops of each face; ten times the work.")
@click.option(
    "--json", "as_json", is_flag=True,
    help="Print one JSON object: checkpoint, split, why_not_clean, and views.<view>.<protocol> with num_faces, loss, "
    "accuracy, f1, precision, recall, ece, brier, accuracy_interval, f1_interval, per_class, confusion.",
)  # fmt: skip
@click.option("--confusion", type=options.PATH, help="Write the confusion matrix here, as PNG: plain, official.")
@click.option(
    "--plots", type=options.PATH, help="Write confusion matrix, reliability diagram and PR curves into this folder."
)
@click.option("--predictions", type=options.PATH,
              help="Write rows, labels and probs (N, C) float32 of the plain view here, as .npz.")  # fmt: skip
@options.device
def command(checkpoint_path: Path, data_path: Path, split: str, ten_crop: bool, as_json: bool, confusion: Path | None,
            plots: Path | None, predictions: Path | None, device: str | None) -> None:  # fmt: skip
    """Measure a checkpoint on one split.

    Views: plain is each face as it is, flip the mean with its mirror image. Protocols: official is every face of the
    split; clean leaves out those whose pixels also stand in the training split of the same data. A model that was
    trained under the clean protocol never saw these twins, so its official number is not inflated by them; one that
    was trained on every row has seen their answers, and only its clean number is honest.
    """
    target = resolve_device(device or "auto")
    model, spec = checkpoint.load_release(checkpoint_path)
    faces = read_faces(data_path)
    views = VIEWS if ten_crop else ("plain", "flip")
    with progress_bar(f"{split}, {', '.join(views)}") as on_batch:
        measured = evaluate_split(model.to(target), faces, split, spec=spec, views=views, on_batch=on_batch)
    if confusion is not None:
        title = f"{checkpoint_path.name} on {split}, plain, official"
        plot_confusion(measured.official(), measured.names, confusion, title=title)
    if plots is not None:
        write_plots(measured, plots, model=checkpoint_path.name)
    if predictions is not None:
        write_predictions(measured, predictions)
    if as_json:
        click.echo(json.dumps(_json(measured, checkpoint_path)))
    else:
        _print_tables(measured, checkpoint_path)
        _print_protocol(spec)
    remind_of_test_split(split)


def write_predictions(measured: Evaluation, path: Path) -> None:
    """Write .npz: rows (N,) and labels (N,) int64, probs (N, C) float32 of the plain view, names (C,) and split."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(
                file, rows=measured.faces.rows, labels=measured.faces.labels, probs=measured.probs("plain"),
                names=np.array(measured.names), split=np.array(measured.split),
            )  # fmt: skip

    checkpoint.write_atomically(path, write)


def _json(measured: Evaluation, checkpoint_path: Path) -> dict[str, object]:
    return {
        "checkpoint": shown_path(checkpoint_path),
        "split": measured.split,
        "why_not_clean": measured.why_not_clean or None,
        "views": {
            view: {protocol: None if m is None else m.to_dict() for protocol, m in by_protocol.items()}
            for view, by_protocol in measured.metrics.items()
        },
    }


def _print_protocol(spec: dict[str, Any]) -> None:
    """Say which of the two numbers to read, where the checkpoint tells how it was trained."""
    meaning = {
        "clean": "the twins were left out of its training rows: official is not inflated by them",
        "official": "it was trained on the twins and has seen their answers: read clean",
    }
    protocol = spec.get("provenance", {}).get("config", {}).get("protocol")
    if protocol in meaning:
        Console().print(f"trained under protocol {protocol}: {meaning[protocol]}", highlight=False, soft_wrap=True)


def _print_tables(measured: Evaluation, checkpoint_path: Path) -> None:
    console = Console()
    console.print(summary_table(measured, title=f"{checkpoint_path} on {measured.split}"))
    console.print(metrics_table(measured.official(), title=f"by class: {measured.split}, plain, official"))
    if measured.is_clean is None:
        console.print(f"clean: not measurable, {measured.why_not_clean}", highlight=False, soft_wrap=True)
    else:
        num_twins = int((~measured.is_clean).sum())
        console.print(
            f"official: every face. clean: without the {num_twins:,} whose pixels also stand in training rows",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
