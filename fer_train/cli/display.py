"""Progress of evaluate and release on stderr, and the reminder about the test split."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress

from fer_train.config import TEST_SPLIT
from fer_train.evaluation.views import OnBatch


@contextmanager
def progress_bar(what: str) -> Iterator[OnBatch]:
    """Show a bar with the time left while batches go by; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, num_faces: progress.update(task, completed=done, total=num_faces)


def remind_of_test_split(split: str) -> None:
    """If the test split was measured, print what that number is for."""
    if split == TEST_SPLIT:
        click.echo(
            f"{TEST_SPLIT} is for one final measurement of a released model: choose nothing by this number", err=True
        )
