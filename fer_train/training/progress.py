"""Show the progress of training: a bar with ETA on a terminal, and one line per epoch everywhere."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fer_train.config import TrainConfig

SECONDS_PER_LINE = 30.0
_EXPONENT = 1.5
"""Of the side of an image, in the time of an epoch. SENet's steps at 32, 40 and 48 pixels took 1, 1.3 and 1.6 times as
long with bf16 on a CPU with AMX (an exponent of 1.2); where computing rather than memory is the limit, it is 2."""


class TrainingProgress:
    """Display of a running training; pass `on_step` and `on_epoch` to `fit`."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("about {task.fields[minutes]:.0f} min left"),
            console=self._console,
        )
        self._task = self._bar.add_task("training", total=None, minutes=0)
        self._begun: int | None = None
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def on_step(self, step: int, num_steps: int, loss: float) -> None:
        """Move the bar; without a terminal, print a line from time to time."""
        steps_per_epoch = num_steps // self._config.num_epochs
        if self._begun is None:
            self._begun = (step - 1) // steps_per_epoch  # a resumed run begins with an epoch
        now, minutes = time.monotonic(), self._minutes_left(step / steps_per_epoch)
        self._bar.update(self._task, completed=step, total=num_steps, description=f"loss {loss:.3f}", minutes=minutes)
        self._bar.start()  # at the first step, so a run with an error shows no bar
        if not self._console.is_terminal and now - self._last_line > SECONDS_PER_LINE:
            self._last_line = now
            self._console.print(f"  step {step}/{num_steps}, loss {loss:.3f}", highlight=False)

    def on_epoch(self, row: dict[str, Any]) -> None:
        """Print one line for the epoch."""
        epoch = row["epoch"] + 1
        self._console.print(
            f"epoch {epoch}/{self._config.num_epochs}  train loss {row['train_loss']:.3f} "
            f"accuracy {row['train_accuracy']:.2%}  validation loss {row['loss']:.3f} accuracy {row['accuracy']:.2%} "
            f"F1 {row['f1']:.3f} precision {row['precision']:.3f} recall {row['recall']:.3f}  "
            f"lr {row['learning_rate']:.2g}  {row['seconds']:.0f} s, about {self._minutes_left(epoch):.0f} min left",
            highlight=False,
            soft_wrap=True,
        )

    def _minutes_left(self, epochs: float) -> float:
        """Return the minutes for the epochs after the first `epochs`; at least one step was done."""
        begun = epochs - 1 if self._begun is None else self._begun
        seconds = time.monotonic() - self._started
        return seconds_left(self._config, epochs, begun=begun, seconds=seconds) / 60


def cost_of_epochs(config: TrainConfig, num: float) -> float:
    """Return the cost of the first `num` epochs of a run; a part of an epoch counts as such a part of its cost."""
    whole = int(num)
    cost = sum(_cost(config, epoch) for epoch in range(whole))
    return cost + (num - whole) * _cost(config, whole) if num > whole else cost


def seconds_left(config: TrainConfig, done: float, *, begun: float = 0, seconds: float) -> float:
    """Return the seconds that the epochs after the first `done` will take.

    Args:
        config: of the run.
        done: epochs that are finished; may end within an epoch.
        begun: epochs that were finished when the clock began.
        seconds: that those between took.
    """
    spent = cost_of_epochs(config, done) - cost_of_epochs(config, begun)
    return seconds / spent * (cost_of_epochs(config, config.num_epochs) - cost_of_epochs(config, done))


def _cost(config: TrainConfig, epoch: int) -> float:
    return float(config.image_size_at(epoch) ** _EXPONENT)
