"""Training speed: images a second of fer_train against a conventional trainer, in the same run.

The conventional trainer is what tutorials have: a Dataset of PIL images, torchvision transforms in DataLoader workers,
an eager model under autocast, an optimizer that is not fused, and `loss.item()` each step. Both train the same network
on the same number of made-up faces with the same kinds of augmentation. The physics: a step of Net is 2.8 GFLOP an
image at 48x48; what a step reaches of the device's measured matrix-product rate says how much is left to gain.

    python benchmarks/training.py --rounds 3
"""

import os
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import torch
from _harness import environment, matmul_flops, result_path, seconds_per_call, write_results
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from fer_train.amp import resolve_device, resolve_precision
from fer_train.augment import PIXEL_MEAN, PIXEL_STD
from fer_train.config import TrainConfig
from fer_train.data.faces import Faces
from fer_train.data.loader import EpochBatches
from fer_train.loop import train_step
from fer_train.models import build_model
from fer_train.run import build_run

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PictureDataset(Dataset[tuple[Tensor, int]]):
    """Gray faces through PIL and torchvision, one at a time."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self._images, self._labels = images, labels
        self._transform = transforms.Compose([
            transforms.RandomAffine(12, translate=(0.15, 0.15), scale=(0.85, 1.15)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(brightness=0.3, contrast=0.3),
            transforms.ToTensor(),
            transforms.Normalize(PIXEL_MEAN / 255, PIXEL_STD / 255),
            transforms.RandomErasing(0.4),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._images[index])), int(self._labels[index])


def conventional_epoch(faces: Faces, config: TrainConfig, device: torch.device, precision: str) -> Callable[[], None]:
    """Return one epoch of the conventional trainer."""
    loader = DataLoader(
        PictureDataset(faces.images, faces.labels), batch_size=config.batch_size, shuffle=True, drop_last=True,
        num_workers=os.cpu_count() or 1, pin_memory=device.type == "cuda", persistent_workers=True,
    )  # fmt: skip
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
    """Return one epoch of fer_train's own loop, checks of the loss left out."""
    run = build_run(config, len(faces) // config.batch_size)
    batches = EpochBatches(faces, config, run.device)
    run.model.train()

    def epoch() -> None:
        for batch in batches.epoch(0):
            train_step(run, batch)

    return epoch


def flops_per_image(model_name: str) -> float:
    """Return the operations of one forward and backward pass of one 48x48 image."""
    model = build_model(model_name, num_classes=7)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 1, 48, 48)).sum().backward()
    return counter.get_total_flops() / 2


def measure(model: str, *, num_faces: int, batch_size: int, rounds: int, device: torch.device, compiled: bool
            ) -> dict[str, Any]:  # fmt: skip
    """Return images a second of each trainer, and the share of the matrix-product rate."""
    noise = np.random.default_rng(0).integers(0, 256, (num_faces, 48, 48)).astype(np.uint8)
    labels = np.arange(num_faces, dtype=np.int64) % 7
    faces = Faces(noise, labels, np.full(num_faces, "Training"), np.arange(num_faces, dtype=np.int64), "0" * 64)
    precision = resolve_precision("auto", device)
    config = TrainConfig(model=model, batch_size=batch_size, device=str(device), precision=precision, num_epochs=1000)
    calls = {
        "DataLoader, eager": conventional_epoch(faces, config, device, precision),
        "fer_train": our_epoch(faces, config),
    }
    if compiled:
        calls["fer_train, torch.compile"] = our_epoch(faces, config.model_copy(update={"compile": True}))
    seconds = seconds_per_call(calls, rounds=rounds, device=device)
    num_images = num_faces // batch_size * batch_size
    peak = matmul_flops(device, DTYPES[precision], side=8192 if device.type == "cuda" else 2048)
    flops = flops_per_image(model)
    rows = {
        name: {
            "images_per_s": num_images / value,
            "speedup": seconds["DataLoader, eager"] / value,
            "share_of_matmul_rate": num_images / value * flops / peak,
        }
        for name, value in seconds.items()
    }
    return {"model": model, "precision": precision, "batch_size": batch_size, "gflop_per_image": flops / 1e9,
            "matmul_gflops": peak / 1e9, "trainers": rows}  # fmt: skip


def as_markdown(results: list[dict[str, Any]], env: dict[str, str]) -> str:
    """Return the report; on a CPU without the absolute rates, which count only on a quiet machine."""
    on_gpu = "cuda" in env["device"]
    lines = [
        f"# Training speed, {env['hardware']}", "",
        f"{env['date']}, Python {env['python']}, {env['faces']} made-up faces of 48x48 an epoch, "
        f"median of {env['rounds']} epochs, trainers in turn.", "", f"    {env['command']}", "",
        "| model | precision | trainer | against DataLoader | share of the measured matrix-product rate |"
        + (" images/s |" if on_gpu else ""),
        "|---|---|---|---|---|" + ("---|" if on_gpu else ""),
    ]  # fmt: skip
    for result in results:
        for name, row in result["trainers"].items():
            lines.append(
                f"| {result['model']} | {result['precision']} | {name} | {row['speedup']:.2f}x "
                f"| {row['share_of_matmul_rate']:.0%} |" + (f" {row['images_per_s']:,.0f} |" if on_gpu else "")
            )
    if not on_gpu:
        lines += ["", "On a CPU that other work shares, only ratios within the run are reported."]
    return "\n".join([*lines, ""])


@click.command()
@click.option("--models", default="net,senet", show_default=True)
@click.option("--faces", default=0, help="Made-up faces an epoch.  [default: 28,000 on a GPU, 1,280 on a CPU]")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Timed epochs of each trainer.")
@click.option("--compile/--no-compile", "compiled", default=None, help="[default: on a GPU]")
@click.option("--device", default="auto", show_default=True)
def main(models: str, faces: int, batch_size: int, rounds: int, compiled: bool | None, device: str) -> None:
    """Measure and write results/training_<hardware>_<yyyy-mm>.{md,json}."""
    target = resolve_device(device)
    on_gpu = target.type == "cuda"
    faces = faces or (28_000 if on_gpu else 1_280)
    results = []
    for model in models.split(","):
        Console().print(f"measuring {model} ...")
        results.append(measure(
            model, num_faces=faces, batch_size=batch_size, rounds=rounds, device=target,
            compiled=on_gpu if compiled is None else compiled,
        ))  # fmt: skip
    env = environment(target) | {"device": str(target), "faces": f"{faces:,}", "rounds": str(rounds)}
    text = as_markdown(results, env)
    path = result_path("training", target)
    write_results(path, {**env, "results": results}, text)
    Console().print(text, markup=False)
    Console().print(f"written: {path}")


if __name__ == "__main__":
    main()
