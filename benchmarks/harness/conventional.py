"""The trainer of tutorials, against which training.py measures fer_train: a DataLoader and an eager model."""

import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms  # type: ignore[import-untyped]

from fer_train.config import TrainConfig
from fer_train.data.faces import Faces
from fer_train.models import build_model
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
