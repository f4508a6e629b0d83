"""Measure training speed: images per second of fer_train and of a conventional trainer, in the same run.

The conventional trainer is that of tutorials: a Dataset of PIL images, torchvision transforms in DataLoader workers,
an eager model with autocast, an optimizer that is not fused, and `loss.item()` in each step. Both train the same
network on the same number of generated faces with the same kinds of augmentation. The physics: a step of Net needs
2.8 GFLOP per image at 48x48; its share of the device's measured matrix-product rate shows the possible gain. A separate
row is a whole epoch of `fit`, with everything that a real run does besides its steps.

    python benchmarks/training.py --rounds 3
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from harness.measuring import environment, matmul_flops
from harness.results import Output, output_options
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms  # type: ignore[import-untyped]

from fer_train.amp import resolve_device, resolve_precision
from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data.faces import Faces
from fer_train.data.loader import EpochBatches
from fer_train.data.splits import take_split
from fer_train.models import build_model
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD
from fer_train.training.loop import fit, train_step
from fer_train.training.run import build_run

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CONVENTIONAL = "DataLoader, eager"
WHOLE = "whole epoch through fit"
FACES_PER_VALIDATION_FACE = 8
"""Ratio in FER2013: 28,709 training faces, 3,589 validation faces."""


class PictureDataset(Dataset[tuple[Tensor, int]]):
    """Data set of gray faces, transformed one at a time by PIL and torchvision."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self._images, self._labels = images, labels
        self._transform = transforms.Compose(
            [
                transforms.RandomAffine(12, translate=(0.15, 0.15), scale=(0.85, 1.15)),
                transforms.RandomHorizontalFlip(),
                transforms.ColorJitter(brightness=0.3, contrast=0.3),
                transforms.ToTensor(),
                transforms.Normalize(PIXEL_MEAN / 255, PIXEL_STD / 255),
                transforms.RandomErasing(0.4),
            ]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), int(self._labels[index])


def conventional_epoch(faces: Faces, config: TrainConfig, device: torch.device, precision: str) -> Callable[[], None]:
    """Return one epoch of the conventional trainer."""
    loader = DataLoader(
        PictureDataset(faces.images, faces.labels),
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        pin_memory=device.type == "cuda",
        persistent_workers=True,
    )
    model = build_model(config.model, num_classes=7, dropout=config.dropout).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def epoch() -> None:
        total = 0.0
        for images_host, labels_host in loader:
            images, labels = images_host.to(device), labels_host.to(device)
            optimizer.zero_grad()
            with torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"):
                loss = criterion(model(images), labels)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            total += loss.item()

    return epoch


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
) -> dict[str, float]:
    """Return the median seconds per epoch of each call and, as `WHOLE`, of `fit`, after one warm-up epoch.

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
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


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
    model: str, *, num_faces: int, batch_size: int, rounds: int, device: torch.device, compiled: bool
) -> dict[str, Any]:
    """Return images per second of each trainer, and the share of the matrix-product rate."""
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
    seconds = seconds_per_epoch(calls, fastest, faces, rounds=rounds, device=device)
    seconds[f"{name}, {WHOLE}"] = seconds.pop(WHOLE)
    peak = matmul_flops(device, DTYPES[precision], side=8192 if device.type == "cuda" else 2048)
    flops = flops_per_image(model)
    return {
        "model": model,
        "precision": precision,
        "batch_size": batch_size,
        "validation_faces": len(faces) - num_faces,
        "gflop_per_image": flops / 1e9,
        "matmul_gflops": peak / 1e9,
        "trainers": _rates(seconds, num_faces // batch_size * batch_size, flops / peak),
    }


def _rates(seconds: Mapping[str, float], num_images: int, peak_seconds_per_image: float) -> dict[str, Any]:
    return {
        name: {
            "images_per_s": num_images / value,
            "speedup": seconds[CONVENTIONAL] / value,
            "share_of_matmul_rate": num_images / value * peak_seconds_per_image,
        }
        for name, value in seconds.items()
    }


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# Training speed, {env['hardware']}",
        "",
        f"{env['date']}, Python {env['python']}, {env['faces']} generated faces of 48x48 per epoch, "
        f"median of {env['rounds']} epochs, alternating trainers.",
        "",
        f"    {env['command']}",
        "",
        "| model | precision | trainer | images/s | against DataLoader | share of the measured matrix-product rate |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {result['model']} | {result['precision']} | {name} | {row['images_per_s']:,.0f} | {row['speedup']:.2f}x "
        f"| {row['share_of_matmul_rate']:.0%} |"
        for result in results
        for name, row in result["trainers"].items()
    ]
    return "\n".join([*lines, *_notes(results, env), ""])


def _notes(results: list[dict[str, Any]], env: dict[str, str]) -> list[str]:
    notes = []
    if "cuda" not in env["device"]:
        notes += [
            "",
            "On a shared CPU only ratios within the run are meaningful: images/s depend on the other work.",
        ]
    num_validation = {result["validation_faces"] for result in results if "validation_faces" in result}
    if num_validation:
        notes += [
            "",
            f"A {WHOLE} includes, besides its steps, the checks of loss and weights, validation on "
            f"{max(num_validation):,} faces, last.pt, and best.safetensors if the epoch is the best; images/s "
            "and the share count the training faces.",
        ]
    else:
        notes += ["", f"A {WHOLE}, with validation and checkpoints, is not measured here."]
    return notes


@click.command()
@click.option("--models", default="net,senet", show_default=True)
@click.option("--faces", default=0, help="Generated faces per epoch.  [default: 28,000 on a GPU, 1,280 on a CPU]")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Timed epochs of each trainer.")
@click.option("--compile/--no-compile", "compiled", default=None, help="[default: on a GPU]")
@click.option("--device", default="auto", show_default=True)
@output_options
def main(
    models: str, faces: int, batch_size: int, rounds: int, compiled: bool | None, device: str, output: Output
) -> None:
    """Compare fer_train with a DataLoader trainer."""
    target = resolve_device(device)
    on_gpu = target.type == "cuda"
    faces = faces or (28_000 if on_gpu else 1_280)
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
            )
        )
    env = environment(target) | {"device": str(target), "faces": f"{faces:,}", "rounds": str(rounds)}
    text = as_markdown(results, env)
    Console().print(text, markup=False)
    output.write("training", target, {**env, "results": results}, text)


if __name__ == "__main__":
    main()
