"""Log the loss by step and metrics by epoch for TensorBoard, which shows them during the run."""

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
    """Writer of event files; pass `on_step` and `on_epoch` to `fit`.

    A resumed run hides the events that an earlier process wrote for the repeated epoch. If events cannot be written,
    for example on a full disk, it logs one warning and the run continues without them.
    """

    def __init__(self, folder: Path) -> None:
        """Set the folder; nothing is written before the first step."""
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._is_broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError) if self._is_broken else self._warning_once():
                self._writer.close()

    def on_step(self, step: int, num_steps: int, loss: float) -> None:
        """Write the mean loss of the epoch so far."""
        if not self._is_broken:
            with self._warning_once():
                self._open(step).add_scalar("train/loss", loss, step)

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Write the finished epoch's row, counted from 1."""
        if self._is_broken:
            return
        epoch = row["epoch"] + 1
        with self._warning_once():
            writer = self._open(0)
            for key, name in _TRAINING.items():
                writer.add_scalar(name, row[key], epoch)
            for key in _VALIDATION:
                writer.add_scalar(f"validation/{key}", row[key], epoch)
            writer.flush()

    @contextlib.contextmanager
    def _warning_once(self) -> Iterator[None]:
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
