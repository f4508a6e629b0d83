"""The step that a long command is at: in one line that moves on a terminal, in a line each elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def messages_shown(title: str) -> Iterator[Callable[[str], None]]:
    """Yield the function that shows a step on standard error; a step that starts with "note: " stays visible."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: console.print(step, highlight=False, markup=False, soft_wrap=True)
        return
    with console.status(title) as status:

        def on_message(step: str) -> None:
            if step.startswith("note: "):  # to be read, and not to be overwritten by the next step
                console.print(step, highlight=False, markup=False, soft_wrap=True)
            else:
                status.update(step)

        yield on_message
