"""A small residual network in PyTorch that really tells seven patterns apart, for exports that take seconds."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_deploy.errors import FerDeployError, VerificationError
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.pipeline import export
from fer_deploy.settings import load_settings
from fer_deploy.spec import ModelSpec, spec_from_json

ARCHITECTURE = "small"
LAYERS = (
    "stem.0",
    "blocks.0.branch.0",
    "blocks.0.branch.3",
    "blocks.0.gate.1",
    "blocks.0.gate.3",
    "blocks.1.branch.0",
    "blocks.1.branch.3",
    "blocks.1.shortcut.0",
    "classifier",
)
"""Everything with weights, in the order of the forward pass."""
GATES = ("blocks.0.gate.1", "blocks.0.gate.3")
OUTLIER_LAYER = "blocks.0.branch.3"
"""The layer whose input has one channel that is 2000 times larger than the others, where it was asked for."""
_OUTLIER = 2000.0


class Block(nn.Module):
    """Residual block; the branch ends in squeeze and excitation, or the shortcut has a convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.gate: nn.Module | None = None
        self.shortcut: nn.Module = nn.Identity()
        if stride == 1:
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(outputs, 16, 1), nn.ReLU(), nn.Conv2d(16, outputs, 1), nn.Sigmoid()
            )
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        if self.gate is not None:
            out = out * self.gate(out)
        joined: Tensor = torch.relu(out + self.shortcut(x))
        return joined


class SmallNet(nn.Module):
    def __init__(self, num_classes: int = 7) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 5, stride=4, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Block(16, 16), Block(16, 32))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, num_classes)

    def features(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(self.blocks(self.stem(x))).flatten(1)
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits


def build_small(name: str, *, num_classes: int, **_: Any) -> nn.Module:
    """Stands in for `fer_train.models.build_model`."""
    assert name == ARCHITECTURE
    return SmallNet(num_classes)


def patterns(count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (count, 48, 48) uint8 of seven striped patterns in noise, and their labels in turn."""
    noise = np.random.default_rng(seed)
    labels = np.arange(count) % 7
    rows, columns = np.mgrid[:48, :48]
    images = np.empty((count, 48, 48))
    for index, label in enumerate(labels):
        angle, phase = np.pi * label / 7, noise.uniform(0, 2 * np.pi)
        wave = np.sin((np.cos(angle) * rows + np.sin(angle) * columns) * 0.55 + phase)
        images[index] = 128 + 70 * wave + noise.normal(0, 25, (48, 48))
    return images.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


def small_model(spec: ModelSpec, *, outlier: bool = False) -> SmallNet:
    """Return the network in eval mode: random features, batch norm that has seen the patterns, a fitted classifier.

    With `outlier` it computes the same in float, but one channel inside a block is very large: INT8 loses the others.
    """
    images, labels = patterns(420, seed=1)
    x = (torch.from_numpy(images)[:, None].float() - spec.input.mean) / spec.input.std
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(4)
        model = SmallNet().train()
        for _ in range(30):
            model(x[:210])
        model.eval()
        if outlier:
            _, norm, _, after, _ = model.blocks[0].branch
            norm.weight[0] *= _OUTLIER
            norm.bias[0] *= _OUTLIER
            after.weight[:, 0] /= _OUTLIER
        features = model.features(x)
        wanted = nn.functional.one_hot(torch.from_numpy(labels), 7) * 12.0 - 2.0
        columns = torch.cat([features, torch.ones(len(features), 1)], dim=1)
        fitted = torch.linalg.lstsq(columns, wanted).solution
        model.classifier.weight.copy_(fitted[:-1].T)
        model.classifier.bias.copy_(fitted[-1])
    return model


def small_spec(spec: dict[str, Any], **changes: Any) -> ModelSpec:
    """Return a spec of fer_train for this architecture."""
    return spec_from_json(json.dumps(spec | {"architecture": ARCHITECTURE} | changes), where="test")


def write_faces(path: Path, splits: dict[str, int]) -> Path:
    """Write patterns as FER2013's CSV, so many for each split; every split has patterns of its own."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for seed, (split, count) in enumerate(splits.items(), start=11):
            images, labels = patterns(count, seed)
            for image, label in zip(images, labels, strict=True):
                writer.writerow([label, " ".join(map(str, image.ravel())), split])
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def config_of(checkpoint: Path, out: Path, **values) -> ExportConfig:
    return load_settings(ExportConfig, None, {"checkpoint": checkpoint, "out": out, **values})


def failure_of(config: ExportConfig, error: type[FerDeployError] = VerificationError) -> str:
    """Return the message of an export that fails and leaves the old artifacts as they are."""
    before = contents(config.out) if config.out.exists() else {}
    with pytest.raises(error) as caught:
        export(config)
    left = contents(config.out) if config.out.exists() else {}
    assert {name: content for name, content in left.items() if not name.startswith("report-failed.")} == before
    return str(caught.value)
