"""EpochBatches: the whole data set on the device as uint8; a batch is an index-select and one augmentation."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fer_train.augment import augment
from fer_train.config import TrainConfig
from fer_train.data.faces import Faces


class EpochBatches:
    """Shuffled, augmented batches. Order and augmentation depend only on (seed, epoch), so any epoch can be redone."""

    def __init__(self, faces: Faces, config: TrainConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._images = torch.from_numpy(faces.images).to(device)
        self._labels = torch.from_numpy(faces.labels).to(device)

    def __len__(self) -> int:
        """Return the number of batches an epoch; the last incomplete one is left out."""
        return len(self._labels) // self._config.batch_size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (batch_size, 1, S, S) float32 faces and (batch_size,) int64 labels, on the device."""
        size = self._config.batch_size
        generator = torch.Generator(self._device)
        generator.manual_seed(epoch_seed(self._config.seed, epoch))
        order = torch.randperm(len(self._labels), generator=generator, device=self._device)
        image_size = self._config.image_size_at(epoch)
        for start in range(0, len(self) * size, size):
            chosen = order[start : start + size]
            images = augment(self._images[chosen], self._config.augment, image_size, generator)
            if self._config.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            yield images, self._labels[chosen]


def epoch_seed(seed: int, epoch: int) -> int:
    """Return a seed of its own for each epoch of each run."""
    return seed * 1_000_003 + epoch
