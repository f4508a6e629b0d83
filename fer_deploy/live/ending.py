"""End the loop: when failed outputs end a run, and how long the loop waits for threads and outputs."""

import time
from collections.abc import Callable, Sequence

from fer_deploy.live.outlet import POLL_S, Outlet
from fer_deploy.live.sources import Source
from fer_deploy.live.threads.worker import Worker

PATIENCE_S = 2.0
"""Time that a stopped run waits for the chunks being analyzed before it gives them up."""
GRACE_S = 5.0
"""Time that the loop's end waits for a thread that hangs in a read or a write before it gives it up."""
ENGINE_S = 30.0
"""The same for a thread in a call of the engine; a slow network on a slow machine takes seconds for a batch."""
CLOSE_S = 120.0
"""The same for an output that is being finished: a long video is copied once more to move its index to the front."""


def any_may_be_live(sources: Sequence[Source]) -> bool:
    """Return whether a source is live, or may prove to be."""
    return any(source.is_live is not False for source in sources)


def failures_end_the_run(outlets: Sequence[Outlet], sources: Sequence[Source]) -> bool:
    """Return whether failed outputs end the run: with live sources if all failed, with recordings if one failed."""
    have_failed = [outlet.failure is not None for outlet in outlets]
    return any(have_failed) and (all(have_failed) or not any_may_be_live(sources))


def note_incomplete(outlets: Sequence[Outlet]) -> None:
    """Mark every output as incomplete before it is closed: the run ends with an error, and results are missing."""
    for outlet in outlets:
        outlet.sink.is_incomplete = True


def have_ended(threads: Sequence[Worker], limit_s: float) -> bool:
    """Wait for threads and return whether all have ended in time."""
    deadline_s = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def finish_outlets(outlets: Sequence[Outlet], *, is_hasty: Callable[[], bool]) -> None:
    """Wait for the outputs' ends.

    Args:
        outlets: each runs in its own thread, and `finish` was called.
        is_hasty: called repeatedly; after its first True an output that hangs is given up. Before that, the output of a
            recording has no time limit.
    """
    since_s: float | None = None
    for outlet in outlets:
        while not outlet.has_ended(POLL_S):
            if since_s is None and is_hasty():
                since_s = time.monotonic()
            limit_s = CLOSE_S if outlet.is_closing.is_set() else GRACE_S
            if since_s is not None and time.monotonic() - since_s > limit_s:
                outlet.give_up(
                    f"the {outlet.sink.name} sink did not end within {limit_s:g} s; its output may be incomplete"
                )
                break
