"""TrainingProgress: a bar with ETA on a terminal; one line an epoch everywhere."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fer_train.config import TrainConfig
from fer_train.data.faces import Faces


class TrainingProgress:
    """Shows a run as it goes; give `on_step` and `on_epoch` to `fit`."""

    def __init__(self, config: TrainConfig, faces: Faces) -> None:
        self._config = config
        steps = int((faces.splits == config.train_split).sum()) // config.batch_size
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(), console=self._console,
        )  # fmt: skip
        self._task = self._bar.add_task("training", total=steps * config.num_epochs)
        self._epoch: int | None = None
        self._epochs_here = 0
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def on_step(self, step: int, steps_per_epoch: int, loss: float) -> None:
        """Move the bar; the epoch is known once the first one has ended."""
        done = (self._epoch or 0) * steps_per_epoch + step
        self._bar.update(self._task, completed=done, description=f"loss {loss:.3f}")

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Print the epoch's line."""
        self._epoch = row["epoch"] + 1
        self._epochs_here += 1
        left = self._config.num_epochs - self._epoch
        eta = (time.monotonic() - self._started) / self._epochs_here * left
        self._console.print(
            f"epoch {self._epoch}/{self._config.num_epochs}  train loss {row['train_loss']:.3f} "
            f"accuracy {row['train_accuracy']:.2%}  validation loss {row['loss']:.3f} accuracy {row['accuracy']:.2%} "
            f"F1 {row['f1']:.3f} precision {row['precision']:.3f} recall {row['recall']:.3f}  "
            f"lr {row['learning_rate']:.2g}  {row['seconds']:.0f} s, about {eta / 60:.0f} min left",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
