"""Measure the accuracy of any artifact on all faces of a split, and its change against PyTorch on the same faces.

    python benchmarks/accuracy.py --checkpoint weights/senet-ferplus.safetensors --artifacts artifacts/senet-ferplus \
        --data fer2013.csv --ferplus fer2013new.csv

Every artifact answers the plain face and its mirror image; `flip` is the mean of the two logits. It also answers the
plain face made dim and soft, as the export's slice `dim-soft`. The measures are those of `fer-train evaluate`. An
artifact that cannot run on this machine is listed with the reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import torch
from harness.accuracy_report import DIM_AND_SOFT, HAPPY, as_markdown, write_chart
from harness.comparing import Measure, share_measure
from harness.measuring import environment
from harness.reports import Report, Result
from harness.results import Output, output_options
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from fer_deploy.engines import Device, Engine, open_engine
from fer_deploy.engines.onnxruntime.session import ort
from fer_deploy.errors import FerDeployError
from fer_deploy.export.verify.slices import DESCRIPTIONS, Slice, degraded
from fer_deploy.export.verify.torch_engine import TorchEngine
from fer_train.data import read_faces
from fer_train.data.faces import Faces, own_label_set
from fer_train.evaluation.evaluate import Evaluation, Predict, evaluate_predictions

BATCH_SIZE = 64
"""Faces a call; the batch changes no result."""
PYTORCH = "PyTorch FP32"
NUM_RESAMPLES = 10_000
_console = Console(stderr=True)
_there = click.Path(path_type=Path, exists=True)
Row = dict[str, Any]


@dataclass(frozen=True)
class Opened:
    """An artifact on this machine: its engine, or the reason why it does not run here."""

    artifact: str
    engine: Engine | None
    skipped: str = ""


def opened(checkpoints: tuple[Path, ...], artifacts: tuple[Path, ...], device: Device) -> Iterator[Opened]:
    """Yield PyTorch for each checkpoint, then the artifacts of its model."""
    for checkpoint in checkpoints:
        yield Opened(PYTORCH, TorchEngine.open(checkpoint, device="cuda" if device == "cuda" else "cpu"))
    for path in artifacts:
        files = sorted([*path.glob("*.onnx"), *path.glob("*.plan")]) if path.is_dir() else [path]
        if not files:
            raise click.UsageError(f"{path} has no .onnx and no .plan. Fix: fer-deploy export --out {path}")
        for file in files:
            try:
                yield Opened(file.name, open_engine(file, device=device))
            except FerDeployError as err:
                yield Opened(file.name, None, str(err))


def logits_of(engine: Engine, images: NDArray[np.uint8], *, what: str) -> dict[str, NDArray[np.float32]]:
    """Return the raw logits (N, C) of faces (N, S, S) by view: plain, flip, and dim and soft."""
    starts = range(0, len(images), BATCH_SIZE)
    plain, mirrored, soft = [], [], []
    for start in track(starts, what, console=_console, transient=True):
        batch = images[start : start + BATCH_SIZE, None]
        plain.append(engine.infer(batch))
        mirrored.append(engine.infer(batch[..., ::-1]))
        soft.append(engine.infer(degraded(batch, Slice.DIM_SOFT)))
    face, mirror = np.concatenate(plain), np.concatenate(mirrored)
    return {"plain": face, "flip": (face + mirror) / 2, DIM_AND_SOFT: np.concatenate(soft)}


def run_once(engine: Engine, *, what: str) -> Predict:
    """Return a function that runs the engine at its first call: every label set has the same faces."""
    known: dict[str, NDArray[np.float32]] = {}

    def predict(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        if not known:
            known.update(logits_of(engine, images, what=what))
        return known

    return predict


def paired_interval(ours: NDArray[np.bool_], reference: NDArray[np.bool_]) -> list[float]:
    """Return the 95 % bootstrap interval [low, high] of the change in accuracy, for answers (N,) to the same faces.

    Only the faces that one of the two gets right and the other wrong count, so a resample draws their numbers.
    """
    gained, lost = int((ours & ~reference).sum()), int((~ours & reference).sum())
    num = len(ours)
    shares = [gained / num, lost / num, 1 - (gained + lost) / num]
    drawn = np.random.default_rng(0).multinomial(num, shares, size=NUM_RESAMPLES)
    return [float(bound) for bound in np.percentile((drawn[:, 0] - drawn[:, 1]) / num, (2.5, 97.5))]


def rows_of(artifact: str, measured: Evaluation, model: str, reference: Evaluation | None) -> Iterator[Row]:
    """Yield a row for each view; `reference` is PyTorch's evaluation of the same faces, None for PyTorch itself."""
    labels = measured.faces.labels
    for view in measured.logits:
        metrics, clean = measured.official(view), measured.metrics[view]["clean"]
        answers = measured.logits[view].argmax(axis=1)
        theirs = None if reference is None else reference.logits[view].argmax(axis=1)
        yield {
            "model": model,
            "artifact": artifact,
            "labels": measured.label_set,
            "view": view,
            "num_faces": metrics.num_faces,
            "accuracy": metrics.accuracy,
            "accuracy_interval": metrics.accuracy_interval,
            "clean": None if clean is None else clean.accuracy,
            "f1": metrics.f1,
            "f1_interval": metrics.f1_interval,
            "nll": metrics.loss,
            "ece": metrics.ece,
            "same_emotion": None if theirs is None else float((answers == theirs).mean()),
            "change": None if theirs is None else float((answers == labels).mean() - (theirs == labels).mean()),
            "change_interval": None if theirs is None else paired_interval(answers == labels, theirs == labels),
            "recall": {name: found["recall"] for name, found in metrics.per_class.items()},
            "support": {name: int(found["support"]) for name, found in metrics.per_class.items()},
        }


def measure(found: Opened, faces: Faces, split: str, references: dict[tuple[str, str], Evaluation]) -> Iterator[Row]:
    """Yield the rows of one artifact, against each label set; PyTorch's evaluations are added to `references`.

    Raises:
        click.ClickException: PyTorch was not measured for this model.
    """
    if found.engine is None:
        yield {"artifact": found.artifact, "skipped": found.skipped}
        return
    with found.engine as engine:
        spec = engine.spec.model_dump()
        name = engine.spec.name
        is_reference = isinstance(engine, TorchEngine)
        if not is_reference and not any(model == name for model, _ in references):
            raise click.UsageError(
                f"{found.artifact} is {name}, and no --checkpoint is. Fix: --checkpoint with the weights it was "
                "exported from"
            )
        predict = run_once(engine, what=f"{name}, {found.artifact}")
        for label_set in label_sets(spec, faces):
            measured = evaluate_predictions(predict, faces, split, spec=spec, label_set=label_set)
            if is_reference:
                references[name, label_set] = measured
            yield from rows_of(found.artifact, measured, name, None if is_reference else references[name, label_set])


def measures_of(rows: list[Row]) -> list[Measure]:
    """Return what --compare compares: shares of faces, which no machine's speed changes."""
    found = []
    for row in rows:
        if "skipped" in row:
            continue
        name = f"{row['model']}, {row['artifact']}, {row['labels']}, {row['view']}"
        found.append(Measure(f"{name}: accuracy", row["accuracy"], *row["accuracy_interval"], "higher", is_ratio=True))
        if row["view"] != DIM_AND_SOFT:
            continue
        if row["same_emotion"] is not None:
            found.append(share_measure(f"{name}: same emotion", row["same_emotion"], row["num_faces"]))
        if row["support"].get(HAPPY):
            found.append(share_measure(f"{name}: happy faces found", row["recall"][HAPPY], row["support"][HAPPY]))
    return found


def label_sets(spec: dict[str, Any], faces: Faces) -> list[str]:
    """Return the label sets to measure against, the model's own first; FER+'s only where there are votes."""
    if faces.votes is None:
        return ["fer2013"]
    return ["ferplus", "fer2013"] if own_label_set(spec) == "ferplus" else ["fer2013", "ferplus"]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    rows = result["results"]
    chart = partial(write_chart, rows, title=f"{result['split']}, {result['hardware']}, {result['date']}")
    return Report(as_markdown(rows, result), measures_of(rows), chart)


@click.command()
@click.option("--checkpoint", "checkpoints", multiple=True, required=True, type=_there, help="Reference; repeatable.")
@click.option("--artifacts", multiple=True, required=True, type=_there, help="Folder or file; repeatable.")
@click.option("--data", required=True, type=_there, help="FER2013: fer2013.csv or a folder.")
@click.option("--ferplus", type=_there, help="fer2013new.csv: measure against FER+'s majority, too.")
@click.option("--split", default="PublicTest", show_default=True)
@click.option("--device", type=click.Choice(get_args(Device)), default="auto", show_default=True)
@output_options(report)
def main(
    checkpoints: tuple[Path, ...],
    artifacts: tuple[Path, ...],
    data: Path,
    ferplus: Path | None,
    split: str,
    device: Device,
    output: Output,
) -> None:
    """Measure accuracy (plain, with mirror images, on dim and soft faces), and the change against PyTorch."""
    faces = read_faces(data, ferplus=ferplus)
    target = torch.device("cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu")
    env = environment(target) | {
        "onnxruntime": ort.__version__,
        "split": split,
        "dim_and_soft": DESCRIPTIONS[Slice.DIM_SOFT],
    }
    references: dict[tuple[str, str], Evaluation] = {}
    rows: list[Row] = []
    for found in opened(checkpoints, artifacts, device):
        rows += measure(found, faces, split, references)
    output.write("accuracy", target, {**env, "results": rows})


if __name__ == "__main__":
    main()
