"""Progress of `fer-deploy archive`: a bar on a terminal, else a line from time to time."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.progress import RunProgress
from fer_deploy.cli.terminal.analyze_progress import LINE_S, Pace
from fer_deploy.durations import duration_text


class ArchiveProgress(RunProgress):
    """A context manager that shows progress on a console."""

    def __init__(self, console: Console, name: str, *, machine: str = "this machine") -> None:
        """Set the console, the name of what is computed, and whose speed it is."""
        self._console, self._name, self._machine = console, name, machine
        self._workers = ""
        self._num_done = self._num_total = 0
        self._at_work: dict[int, int] = {}
        self._pace = Pace(0, time.monotonic())
        self._shown_s = 0.0
        name_column, state = (TextColumn(f"{{task.{what}}}", markup=False) for what in ("description", "fields[state]"))
        self._bar = Progress(name_column, BarColumn(bar_width=30), state, console=console, transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def begin(self, num_done: int, num_total: int) -> None:
        """Show a bar."""
        self._num_done, self._num_total = num_done, num_total
        self._pace = Pace(num_done, time.monotonic())
        self._task = self._bar.add_task(self._name, total=num_total or None, completed=num_done, state="")

    def working(self, worker: int, num_frames: int) -> None:
        """Show frames, speed and remaining time."""
        self._at_work[worker] = num_frames
        self._show()

    def workers(self, num: int, num_nodes: int) -> None:
        """Show how many workers compute."""
        self._workers = f"{count_text(num, 'worker')} on {count_text(num_nodes, 'node')}"
        self._show()

    def done(self, num_frames: int) -> None:
        """Add a segment of this run."""
        self._num_done += num_frames
        self._show()

    def skip(self, num_frames: int) -> None:
        """Add a segment of another run."""
        self._num_done += num_frames

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _show(self) -> None:
        now_s, num = time.monotonic(), self._num_done + sum(self._at_work.values())
        self._pace.note(num, now_s)
        words = [f"{num:,} of {self._num_total:,} frames", f"{self._pace.fps:.0f} frames/s"]
        if self._workers:
            words.append(self._workers)
        left_s = self._pace.left_s(self._num_total)
        if left_s is not None:
            words.append(f"{duration_text(left_s, decimals=0)} left at {self._machine}'s speed")
        if self._console.is_terminal:
            if self._task is not None:
                self._bar.update(self._task, completed=num, state=", ".join(words))
        elif now_s - self._shown_s >= LINE_S:
            self.note(f"{self._name}: {', '.join(words)}")
            self._shown_s = now_s
