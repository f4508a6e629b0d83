"""Batches of an epoch: the data set is on the device as uint8; a batch is one index-select and one augmentation."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_train.config import TrainConfig
from fer_train.data.augment import apply_draw, draw
from fer_train.data.faces import Faces
from fer_train.data.mix import Mixer
from fer_train.data.targets import class_weights, training_targets
from fer_train.distributed import ALONE, World

_NO_EPOCH = 1_000_002
"""Larger than any epoch number: the seed for random numbers that are drawn once per run."""


class Batch(NamedTuple):
    """One process's share of a batch, n faces, on the device.

    Attributes:
        images: (n, 1, S, S) float32, augmented, mixed, normalized.
        targets: (n, C) float32; see `training_targets`.
        labels: (n,) int64; for a mix, the label of the face with the larger share.
        teacher: (n, C) float32, cached probabilities of the teachers, or None.
    """

    images: Tensor
    targets: Tensor
    labels: Tensor
    teacher: Tensor | None


class EpochBatches:
    """Shuffled, augmented batches. All random numbers depend only on (seed, epoch), so any epoch can be repeated.

    Every process draws for the whole batch and keeps its share, so n processes see the same data as one.
    """

    def __init__(
        self,
        faces: Faces,
        config: TrainConfig,
        device: torch.device,
        *,
        teacher: Tensor | None = None,
        world: World = ALONE,
    ) -> None:
        """Move the faces to the device.

        Args:
            faces: training faces.
            config: settings of the run.
            device: device of the batches.
            teacher: (N, C), cached probabilities of the teachers for the faces in order, or None.
            world: processes of the run.
        """
        self._config = config
        self._device = device
        self._images = torch.from_numpy(faces.images).to(device)
        self._targets = torch.from_numpy(training_targets(faces, config)).to(device)
        self._labels = torch.from_numpy(faces.labels).to(device)
        self._teacher = teacher
        weights = torch.from_numpy(class_weights(faces.labels, config.num_classes)).to(device, torch.float32)
        self._face_weights = weights[self._labels] if config.sampling == "balanced" else None
        self._share = world.share(config.batch_size)
        self._mirrored_first = _mirrored_first(len(faces), config).to(device)

    def __len__(self) -> int:
        """Return the number of batches per epoch; the last incomplete one is left out."""
        return len(self._labels) // self._config.batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch (counted from 0)."""
        size = self._config.batch_size
        seed = epoch_seed(self._config.seed, epoch)
        generator = torch.Generator(self._device)
        generator.manual_seed(seed)
        order = self._order(generator)
        mixer = Mixer(self._config.mix, seed) if self._config.mix.is_on else None
        for start in range(0, len(self) * size, size):
            batch = self._batch(order[start : start + size], epoch, generator, mixer)
            if self._config.channels_last:
                batch = batch._replace(images=batch.images.contiguous(memory_format=torch.channels_last))
            yield batch

    def _order(self, generator: torch.Generator) -> Tensor:
        if self._face_weights is None:
            return torch.randperm(len(self._labels), generator=generator, device=self._device)
        return torch.multinomial(self._face_weights, len(self._labels), replacement=True, generator=generator)

    def _batch(self, chosen: Tensor, epoch: int, generator: torch.Generator, mixer: Mixer | None) -> Batch:
        alternating = self._config.augment.flip == "alternating"
        mirrored = self._mirrored_first[chosen] ^ bool(epoch % 2) if alternating else None
        drawn = draw(len(chosen), self._config.augment, generator, side=self._images.shape[-1], mirrored=mirrored)
        if mixer is None:
            chosen, drawn = chosen[self._share], drawn.rows(self._share)
        images = apply_draw(self._images[chosen], drawn, self._config.image_size_at(epoch))
        teacher = None if self._teacher is None else self._teacher[chosen]
        batch = Batch(images, self._targets[chosen], self._labels[chosen], teacher)
        return batch if mixer is None else self._mixed(batch, mixer, generator)

    def _mixed(self, batch: Batch, mixer: Mixer, generator: torch.Generator) -> Batch:
        partners = torch.randperm(len(batch.labels), generator=generator, device=self._device)
        # Targets may be weighted and may hold votes, so the larger share is found from the labels themselves.
        one_hot = F.one_hot(batch.labels, self._config.num_classes).float()
        targets = (batch.targets, one_hot) if batch.teacher is None else (batch.targets, one_hot, batch.teacher)
        images, mixed, shares, *rest = (part[self._share] for part in mixer(batch.images, partners, *targets))
        return Batch(images, mixed, shares.argmax(1), rest[0] if rest else None)


def _mirrored_first(num_faces: int, config: TrainConfig) -> Tensor:
    """Return (num_faces,) bool: the faces that alternating flip mirrors in the first epoch.

    Source: Jordan 2024, arXiv 2404.00498, section 3.6. Two epochs then show both versions of each face; random flips
    would repeat one version for half of the faces.
    """
    generator = torch.Generator().manual_seed(epoch_seed(config.seed, _NO_EPOCH))
    return torch.rand(num_faces, generator=generator) < 0.5


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of one epoch of a run; different for each pair."""
    return seed * 1_000_003 + epoch
