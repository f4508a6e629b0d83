"""Measure training speed: images per second of fer_train and of a conventional trainer, in the same run.

The conventional trainer is that of tutorials: a Dataset of PIL images, torchvision transforms in DataLoader workers,
an eager model with autocast, an optimizer that is not fused, and `loss.item()` in each step. Both train the same
network on the same number of generated faces with the same kinds of augmentation. The physics: a step of Net needs
2.8 GFLOP per image at 48x48; its share of the device's measured matrix-product rate shows the possible gain. Two more
rows: a whole epoch of `fit`, with everything that a real run does besides its steps, and the steps in the precision
that `precision: auto` did not choose, which shows whether it chose well.

    python benchmarks/training.py --rounds 3
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from harness.conventional import DTYPES, conventional_epoch
from harness.measuring import environment, matmul_flops
from harness.reports import Report, Result
from harness.results import Output, output_options
from harness.training_report import WHOLE, as_markdown, measures_of
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from fer_deploy.environment import survey
from fer_train.amp import bf16_speedup, resolve_device, resolve_precision
from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data.faces import Faces
from fer_train.data.loader import EpochBatches
from fer_train.data.splits import take_split
from fer_train.models import build_model
from fer_train.training.loop import fit, train_step
from fer_train.training.run import build_run

CONVENTIONAL = "DataLoader, eager"
FACES_PER_VALIDATION_FACE = 8
"""Ratio in FER2013: 28,709 training faces, 3,589 validation faces."""


def our_epoch(faces: Faces, config: TrainConfig) -> Callable[[], None]:
    """Return one epoch of fer_train's own loop, without checks of the loss."""
    run = build_run(config, len(faces) // config.batch_size)
    batches = EpochBatches(faces, config, run.device)
    run.model.train()

    def epoch() -> None:
        for batch in batches.epoch(0):
            train_step(run, batch)

    return epoch


def seconds_per_epoch(
    calls: Mapping[str, Callable[[], None]], config: TrainConfig, faces: Faces, *, rounds: int, device: torch.device
) -> dict[str, list[float]]:
    """Return the seconds of each epoch of each call and, as `WHOLE`, of `fit`, after one warm-up epoch.

    They alternate, as in `harness.measuring.seconds_per_call`. `fit` does not pause between epochs, so the calls run in
    its callback at the end of an epoch.

    Args:
        calls: functions that run one epoch of steps.
        config: settings of `fit`; the number of epochs is replaced.
        faces: training and validation rows, for `fit`.
        rounds: number of timed epochs of each.
        device: device of the calls.
    """
    seconds: dict[str, list[float]] = {name: [] for name in (*calls, WHOLE)}
    started = time.perf_counter()

    def others(_: dict[str, Any]) -> None:
        nonlocal started
        seconds[WHOLE].append(time.perf_counter() - started)
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name].append(time.perf_counter() - started)
        started = time.perf_counter()

    with tempfile.TemporaryDirectory() as out:
        fit(config.model_copy(update={"num_epochs": rounds + 1}), faces, Path(out), on_epoch=others)
    return {name: values[1:] for name, values in seconds.items()}


def flops_per_image(model_name: str) -> float:
    """Return the operations of one forward and backward pass of one 48x48 image."""
    model = build_model(model_name, num_classes=7)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 1, 48, 48)).sum().backward()
    return float(counter.get_total_flops() / 2)


def generated_faces(num_training: int) -> Faces:
    """Return noise as training faces and, in FER2013's proportion, as validation faces."""
    num_validation = -(-num_training // FACES_PER_VALIDATION_FACE)
    total = num_training + num_validation
    noise = np.random.default_rng(0).integers(0, 256, (total, 48, 48), dtype=np.uint8)
    splits = np.repeat(["Training", "PublicTest"], [num_training, num_validation])
    return Faces(noise, np.arange(total, dtype=np.int64) % 7, splits, np.arange(total, dtype=np.int64), "0" * 64)


def measure(
    model: str,
    *,
    num_faces: int,
    batch_size: int,
    rounds: int,
    device: torch.device,
    compiled: bool,
    with_other: bool = False,
) -> dict[str, Any]:
    """Return images per second of each trainer, and the share of the matrix-product rate.

    Args:
        model: name of the network.
        num_faces: training faces of an epoch.
        batch_size: of all trainers.
        rounds: timed epochs of each.
        device: to train on.
        compiled: whether to measure torch.compile, too.
        with_other: whether to measure the steps in the precision that "auto" did not choose, too.
    """
    faces = generated_faces(num_faces)
    training = take_split(faces, "Training")
    precision = resolve_precision("auto", device)
    config = config_from_dict(
        {
            "model": model,
            "batch_size": batch_size,
            "device": str(device),
            "precision": precision,
            "num_epochs": 1000,
            "learning_rate": 0.01,  # low, because training on noise must not diverge
        },
        where="benchmark",
    )
    fastest, name = config, "fer_train"
    calls = {CONVENTIONAL: conventional_epoch(training, config, device, precision), name: our_epoch(training, config)}
    if compiled:
        fastest, name = config.model_copy(update={"compile": True}), "fer_train, torch.compile"
        calls[name] = our_epoch(training, fastest)
    other = other_precision(precision)
    if with_other:
        calls[f"fer_train in {other}"] = our_epoch(training, config.model_copy(update={"precision": other}))
    seconds = seconds_per_epoch(calls, fastest, faces, rounds=rounds, device=device)
    seconds[f"{name}, {WHOLE}"] = seconds.pop(WHOLE)
    side = 8192 if device.type == "cuda" else 2048
    peak = matmul_flops(device, DTYPES[precision], side=side)
    flops, num_images = flops_per_image(model), num_faces // batch_size * batch_size
    trainers = _rates(seconds, num_images, flops / peak)
    if with_other:
        other_peak = matmul_flops(device, DTYPES[other], side=side)
        row = trainers[f"fer_train in {other}"]
        row["share_of_matmul_rate"] = row["images_per_s"] * flops / other_peak
    return {
        "model": model,
        "precision": precision,
        "batch_size": batch_size,
        "validation_faces": len(faces) - num_faces,
        "gflop_per_image": flops / 1e9,
        "matmul_gflops": peak / 1e9,
        "trainers": trainers,
    }


def other_precision(precision: str) -> str:
    """Return what `precision: auto` could have chosen instead: bf16 on a CPU in fp32, else fp32."""
    return "bf16" if precision == "fp32" else "fp32"


def choice_of_precision(device: torch.device) -> dict[str, Any]:
    """Return what `precision: auto` takes on this device, and why.

    "bf16_speedup" is what fer_train measures before it chooses, None where the CPU has no instructions for bf16 or the
    device is a GPU. "features" are the CPU's instructions for bf16. Without them "is_choice" is false: the CPU would
    emulate bf16, which is far slower, so there is nothing to choose.
    """
    features = [name for name in survey().cpu_features if "bf16" in name]
    is_measured = device.type == "cpu" and bool(features)
    return {
        "auto": resolve_precision("auto", device),
        "features": features,
        "is_choice": device.type == "cuda" or bool(features),
        "bf16_speedup": bf16_speedup() if is_measured else None,
    }


def _rates(seconds: Mapping[str, list[float]], num_images: int, peak_seconds_per_image: float) -> dict[str, Any]:
    conventional, rows = seconds[CONVENTIONAL], {}
    for name, values in seconds.items():
        rate = num_images / statistics.median(values)
        rows[name] = {
            "images_per_s": rate,
            "speedup": statistics.median(conventional) / statistics.median(values),
            "share_of_matmul_rate": rate * peak_seconds_per_image,
            "speedups": [theirs / own for theirs, own in zip(conventional, values, strict=True)],
        }
    return rows


def report(result: Result) -> Report:
    """Return what the result file shows."""
    results, choice = result["results"], result.get("precision")
    return Report(as_markdown(results, result, choice), measures_of(results))


@click.command()
@click.option("--models", default="net,senet", show_default=True)
@click.option("--faces", default=0, help="Generated faces per epoch.  [default: 28,000 on a GPU, 1,280 on a CPU]")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Timed epochs of each trainer.")
@click.option("--compile/--no-compile", "compiled", default=None, help="[default: on a GPU]")
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--other-precision/--no-other-precision",
    "with_other",
    default=True,
    show_default=True,
    help="Measure the steps in the precision that auto did not choose, too.",
)
@output_options(report)
def main(
    models: str,
    faces: int,
    batch_size: int,
    rounds: int,
    compiled: bool | None,
    device: str,
    with_other: bool,
    output: Output,
) -> None:
    """Compare fer_train with a DataLoader trainer."""
    target = resolve_device(device)
    on_gpu = target.type == "cuda"
    faces = faces or (28_000 if on_gpu else 1_280)
    choice = choice_of_precision(target)
    results = []
    for model in models.split(","):
        Console().print(f"measuring {model} ...")
        results.append(
            measure(
                model,
                num_faces=faces,
                batch_size=batch_size,
                rounds=rounds,
                device=target,
                compiled=on_gpu if compiled is None else compiled,
                with_other=with_other and choice["is_choice"],
            )
        )
    env = environment(target) | {"device": str(target), "faces": f"{faces:,}", "rounds": str(rounds)}
    output.write("training", target, {**env, "precision": choice, "results": results})


if __name__ == "__main__":
    main()
