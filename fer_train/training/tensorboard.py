"""TensorBoardLog: loss by step, measures by epoch, as scalars that TensorBoard shows while the run goes on."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

_TRAINING = {"train_loss": "train/loss_of_epoch", "train_accuracy": "train/accuracy", "learning_rate": "learning_rate"}
_VALIDATION = ("loss", "accuracy", "f1", "precision", "recall")

_log = logging.getLogger(__name__)


class TensorBoardLog:
    """Writes event files to a folder; give `on_step` and `on_epoch` to `fit`.

    A resumed run hides what an earlier process wrote of the epoch that is run again. Where events cannot be written,
    such as on a full disk, it says so once and the run goes on without them.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is written before the first step."""
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._is_broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError) if self._is_broken else self._told():
                self._writer.close()

    def on_step(self, step: int, num_steps: int, loss: float) -> None:
        """Write the mean loss of the epoch so far."""
        if not self._is_broken:
            with self._told():
                self._open(step).add_scalar("train/loss", loss, step)

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Write the finished epoch's row, counted from 1."""
        if self._is_broken:
            return
        epoch = row["epoch"] + 1
        with self._told():
            writer = self._open(0)
            for key, name in _TRAINING.items():
                writer.add_scalar(name, row[key], epoch)
            for key in _VALIDATION:
                writer.add_scalar(f"validation/{key}", row[key], epoch)
            writer.flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn a failed write into a warning and no further writes."""
        try:
            yield
        except OSError as err:
            self._is_broken = True
            _log.warning("TensorBoard events are no longer written to %s: %s", self._folder, err)

    def _open(self, step: int) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        return self._writer
