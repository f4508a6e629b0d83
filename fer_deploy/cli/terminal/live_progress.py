"""The line that `fer-deploy live` renews while it runs, in a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fer_deploy.cli.terminal.live_report import progress_line
from fer_deploy.live.stats import LiveSnapshot


@contextmanager
def shown_progress() -> Iterator[Callable[[LiveSnapshot], None]]:
    """Yield a function that shows a snapshot; the line disappears at the end."""
    with Live(console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield lambda snapshot: live.update(Text(progress_line(snapshot)))
