"""Progress of `fer-deploy analyze`: a bar on a terminal, else a line from time to time."""

import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.durations import duration_text

LINE_S: Final = 10.0
"""Between two lines where there is no terminal."""
_FIRST_LINE_S: Final = 2.0
"""From the beginning to the first of these lines: a short video is done before."""
_LOOK_BACK_S: Final = 30.0
_SHORTEST_S: Final = 0.5


class Pace:
    """Frames per second over the last half minute, and the remaining time."""

    def __init__(self, num_done: int, now_s: float) -> None:
        """Begin at a number of frames; `now_s` may be from any clock."""
        self._marks = deque([(now_s, num_done)])

    def note(self, num_done: int, now_s: float) -> None:
        """Record the number of finished frames."""
        self._marks.append((now_s, num_done))
        while now_s - self._marks[0][0] > _LOOK_BACK_S and len(self._marks) > 2:
            self._marks.popleft()

    @property
    def fps(self) -> float:
        """Frames per second; 0 as long as the marks are too near: workers may have been ahead of the first one."""
        (start_s, first), (end_s, last) = self._marks[0], self._marks[-1]
        return (last - first) / (end_s - start_s) if end_s - start_s >= _SHORTEST_S else 0.0

    def left_s(self, num_total: int | None) -> float | None:
        """Return the remaining seconds; None if unknown."""
        missing = 0 if num_total is None else num_total - self._marks[-1][1]
        return missing / self.fps if missing > 0 and self.fps > 0 else None


class ProgressDisplay(AnalysisProgress):
    """A context manager that shows progress on a console."""

    def __init__(self, console: Console) -> None:
        """Set the console; nothing is shown before the first video begins."""
        self._console = console
        self._name = ""
        self._num_total: int | None = None
        self._pace = Pace(0, time.monotonic())
        self._shown_s = 0.0
        name, state = (TextColumn(f"{{task.{what}}}", markup=False) for what in ("description", "fields[state]"))
        bar = (name, BarColumn(bar_width=30), state)
        self._bar = Progress(*bar, console=console, transient=True)
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

    def begin(self, name: str, *, num_done: int, num_announced: int | None) -> None:
        """Show a new bar."""
        self._name, self._num_total = name, num_announced
        self._pace = Pace(num_done, time.monotonic())
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=num_announced, completed=num_done, state="")
        self._shown_s = time.monotonic() - LINE_S + _FIRST_LINE_S
        if num_done:
            self._say(f"{name}: going on after frame {num_done:,}")

    def note(self, text: str) -> None:
        """Print a line."""
        self._say(text)

    def skip(self, index: int, num: int) -> None:
        """Show how far decoding is from the point where the analysis continues."""
        self._show(index, f"skipping to frame {num:,}: {index / num:.0%}")
        if index == num - 1:
            self._pace = Pace(num, time.monotonic())

    def advance(self, num_frames: int, num_faces: int) -> None:
        """Show frames, speed, remaining time and faces."""
        self._pace.note(num_frames, time.monotonic())
        self._show(num_frames, self._state(num_frames, num_faces))

    def finish(self) -> None:
        """Show that the parts are being joined."""
        self._shown_s = 0.0
        self._show(None, "joining parts, writing the report")

    def _state(self, num_frames: int, num_faces: int) -> str:
        words = [f"{num_frames:,} frames"]
        if self._num_total:
            words = [f"{min(1, num_frames / self._num_total):.0%}", f"{num_frames:,} of {self._num_total:,} frames"]
        words.append(f"{self._pace.fps:.0f} frames/s")
        left_s = self._pace.left_s(self._num_total)
        if left_s is not None:
            words.append(f"{duration_text(left_s, decimals=0)} left")
        return ", ".join([*words, f"{num_faces:,} faces"])

    def _show(self, num_done: int | None, state: str) -> None:
        now_s = time.monotonic()
        if self._console.is_terminal:
            if self._task is not None:
                self._bar.update(self._task, completed=num_done, state=state)
        elif now_s - self._shown_s >= LINE_S:
            self._say(f"{self._name}: {state}")
            self._shown_s = now_s

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
