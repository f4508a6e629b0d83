"""Crew: the worker processes of a run, and which task each of them has."""

from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import TracebackType
from typing import Final, Generic, NamedTuple, Self, TypeVar

from fer_deploy.analyze.jobs.child import WorkerChild
from fer_deploy.analyze.jobs.messages import Died, Draw, Failed, Observe, Progress, Recipe, Reply, Task
from fer_deploy.errors import EngineError

MOST_DEATHS: Final = 2
"""Deaths of workers with one task before it counts as failed."""
Owner = TypeVar("Owner")


class WorkerDied(EngineError):
    """A worker process ended without a reply, too often for one task.

    Attributes:
        how: text, such as "killed by signal 9".
    """

    def __init__(self, message: str, how: str) -> None:
        """Set the message and how it died."""
        super().__init__(message)
        self.how = how


class Event(NamedTuple, Generic[Owner]):
    """A message of a worker about its task, for the owner of the task."""

    worker: int
    owner: Owner
    task: Task
    message: Progress | Reply


@dataclass
class _Place(Generic[Owner]):
    """A worker's place in the crew.

    Attributes:
        child: the process; None until its first task.
        work: its task, with the owner; None while it is idle.
        num_deaths: of processes with this task.
    """

    child: WorkerChild | None = None
    work: tuple[Owner, Task] | None = None
    num_deaths: int = 0


class Crew(Generic[Owner]):
    """A fixed number of worker processes, each started with its first task. As a context manager it ends them.

    Used by one thread.
    """

    def __init__(self, num_workers: int, recipe: Recipe, *, most_deaths: int = MOST_DEATHS) -> None:
        """Create the crew; no process is started yet.

        Args:
            num_workers: at least 1.
            recipe: opens the models in each process.
            most_deaths: of processes with one task before it has failed.
        """
        self._recipe, self._most_deaths = recipe, most_deaths
        self._places: list[_Place[Owner]] = [_Place() for _ in range(num_workers)]

    @property
    def num_workers(self) -> int:
        """The number of processes at most."""
        return len(self._places)

    def idle(self) -> list[int]:
        """Return the workers without a task."""
        return [number for number, place in enumerate(self._places) if place.work is None]

    def pids(self) -> list[int]:
        """Return the process ids of the workers that were started."""
        return [place.child.pid for place in self._places if place.child is not None]

    def give(self, worker: int, owner: Owner, task: Task) -> None:
        """Give a task to an idle worker."""
        place = self._places[worker]
        place.work, place.num_deaths = (owner, task), 0
        self._start(place)

    def _start(self, place: _Place[Owner]) -> None:
        assert place.work is not None
        if place.child is None:
            place.child = WorkerChild(self._recipe)
        place.child.give(place.work[1])

    def events(self, timeout_s: float) -> Iterator[Event[Owner]]:
        """Wait for messages and yield them. A worker that died gets its task again in a new process.

        If `most_deaths` have died, the message is `Failed` with a `WorkerDied`.
        """
        busy = {place.child.connection: place for place in self._places if place.child is not None and place.work}
        for connection in wait(list(busy), timeout_s):
            place = busy[connection]  # type: ignore[index]
            assert place.child is not None
            assert place.work is not None
            message, (owner, task) = place.child.receive(), place.work
            if isinstance(message, Died):
                failed = self._replace(place, message)
                if failed is None:
                    continue
                message = failed
            if not isinstance(message, Progress):
                place.work = None
            yield Event(self._places.index(place), owner, task, message)

    def _replace(self, place: _Place[Owner], died: Died) -> Failed | None:
        """Start a process in place of one that died; return the failure if that has happened too often."""
        assert place.child is not None
        assert place.work is not None
        place.child.kill()
        place.child = None
        place.num_deaths += 1
        if place.num_deaths >= self._most_deaths:
            often = {1: "", 2: " twice"}.get(place.num_deaths, f" {place.num_deaths} times")
            reason = f"a worker process died{often} ({died.how}) while it {_text(place.work[1])}"
            return Failed(WorkerDied(f"{reason}. Fix: fewer --jobs if memory is short, or --jobs 1", died.how))
        self._start(place)
        return None

    def forget(self, owner: Owner) -> None:
        """End the tasks of an owner; their processes are started again for other tasks."""
        for place in self._places:
            if place.work is not None and place.work[0] is owner:
                assert place.child is not None
                place.child.kill()
                place.child, place.work = None, None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self._places:
            if place.child is not None:
                place.child.kill()


def _text(task: Task) -> str:
    if isinstance(task, Observe):
        first = task.start.index
        return f"analyzed frames {first:,} to {first + task.num_frames - 1:,} of {task.video}"
    return f"drew segment {task.number} of {task.video}" if isinstance(task, Draw) else f"indexed {task.video}"
