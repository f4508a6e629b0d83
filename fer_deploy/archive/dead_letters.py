"""Dead letters: segments that failed too often, with the reasons."""

import socket
import time
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.jobs.crew import WorkerDied
from fer_deploy.archive.manifest import Segment, VideoRow, dead_name, ids_and_numbers
from fer_deploy.archive.staging import ReadFailed
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import places_of_files
from fer_deploy.errors import EngineError, SinkError, StreamError
from fer_deploy.privacy.redaction import without_passwords

Kind = Literal["read", "decode", "engine", "memory", "crash", "hang"]
KINDS: Final = get_args(Kind)
_OUT_OF_MEMORY: Final = "killed by signal 9"
_MOST_LETTERS: Final = 2_000
"""Letters of a message that are kept."""


class WorkerHung(EngineError):
    """A worker made no progress for too long, and was ended."""


class DeadLetter(BaseModel):
    """A segment that failed.

    Attributes:
        address: of the video.
        video_id: of the video.
        segment: its number.
        first: index of its first frame.
        kind: of the last failure.
        attempts: messages of all failures.
        host: where the last one was.
        time: of the last one, ISO 8601, UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    video_id: str
    segment: int
    first: int
    kind: Kind
    attempts: tuple[str, ...]
    host: str
    time: str

    @classmethod
    def of(cls, row: VideoRow, segment: Segment, failures: list[Exception], *, host: str | None = None) -> "DeadLetter":
        """Describe the failures of a segment, in their order; `host` is where the last one was, None: this one."""
        return cls(
            address=without_passwords(row.address),
            video_id=row.id,
            segment=segment.number,
            first=segment.first,
            kind=kind_of(failures[-1]),
            attempts=tuple(without_passwords(str(err))[-_MOST_LETTERS:] for err in failures),
            host=host or socket.gethostname(),
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    def write(self, row: VideoRow, store: Store) -> None:
        """Write it; raises SinkError."""
        store.write(dead_name(row, self.segment), self.model_dump_json(indent=2).encode())


def kind_of(err: Exception) -> Kind:
    """Return the class of a failure."""
    if isinstance(err, WorkerDied):
        return "memory" if err.how == _OUT_OF_MEMORY else "crash"
    if isinstance(err, MemoryError) or "MemoryError" in str(err):
        return "memory"
    if isinstance(err, WorkerHung):
        return "hang"
    if isinstance(err, ReadFailed):
        return "read"
    if isinstance(err, StreamError) and not isinstance(err, SinkError):
        return "decode"
    return "engine"


def dead_letters(store: Store) -> dict[str, DeadLetter]:
    """Return all dead letters by their names; a damaged one is left out.

    Raises:
        SinkError: they cannot be read.
    """
    letters = {}
    for name in store.list("dead"):
        content = store.read(name)
        try:
            if content is not None:
                letters[name] = DeadLetter.model_validate_json(content)
        except ValidationError:
            continue
    return letters


def dead_places(store: Store) -> set[tuple[str, int]]:
    """Return id and number of the segments that were given up and that no run has computed nevertheless.

    Raises:
        SinkError: the store cannot be read.
    """
    dead = ids_and_numbers(store.list("dead"))
    return dead - places_of_files(store) if dead else dead


def remove_dead_letters(store: Store, only: Kind | None) -> int:
    """Remove dead letters, of one kind if asked, so that the next run tries their segments; return their number.

    Raises:
        SinkError: they cannot be read or removed.
    """
    letters = dead_letters(store)
    chosen = [name for name, letter in letters.items() if only in (None, letter.kind)]
    if only is None:
        chosen = list(store.list("dead"))
    for name in chosen:
        store.remove(name)
    return len(chosen)
