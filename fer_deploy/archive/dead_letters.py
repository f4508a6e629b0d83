"""Dead letters: segments that failed too often, with the reasons."""

import socket
import time
from collections.abc import Collection, Sequence
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.jobs.crew import WorkerDied
from fer_deploy.archive.manifest import Segment, VideoRow, dead_name, ids_and_numbers
from fer_deploy.archive.staging import ReadFailed
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import Work, is_done
from fer_deploy.errors import ConfigError, EngineError, SinkError, StreamError
from fer_deploy.privacy.redaction import without_passwords

Kind = Literal["read", "decode", "engine", "memory", "crash", "hang", "setting"]
KINDS: Final = get_args(Kind)
_OUT_OF_MEMORY: Final = "killed by signal 9"
LIST: Final = "dead_letters.jsonl"
"""All of them in one file, a line each, as the last run or retry left them; `dead/` is what decides."""
_MOST_LETTERS: Final = 2_000
"""Letters of a message that are kept."""


class WorkerHung(EngineError):
    """A worker made no progress for too long, and was ended."""


_KIND_OF: Final[dict[type[Exception], Kind]] = {
    WorkerHung: "hang",
    ReadFailed: "read",
    SinkError: "engine",
    StreamError: "decode",
    ConfigError: "setting",
}
"""The first class that fits."""


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

    @property
    def place(self) -> tuple[str, int]:
        """Id of the video and number of the segment."""
        return self.video_id, self.segment

    def write(self, row: VideoRow, store: Store) -> None:
        """Write it; raises SinkError."""
        store.write(dead_name(row, self.segment), self.model_dump_json(indent=2).encode())


def kind_of(err: Exception) -> Kind:
    """Return the class of a failure."""
    if isinstance(err, WorkerDied):
        return "memory" if err.how == _OUT_OF_MEMORY else "crash"
    if isinstance(err, MemoryError) or "MemoryError" in str(err):
        return "memory"
    return next((kind for of, kind in _KIND_OF.items() if isinstance(err, of)), "engine")


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


def write_list(store: Store, places: Collection[tuple[str, int]]) -> None:
    """Write the letters of these segments as `LIST`; without any, remove it.

    Raises:
        SinkError: the store cannot be read or written.
    """
    letters = [letter for letter in dead_letters(store).values() if letter.place in places]
    if letters:
        store.write(LIST, "".join(f"{letter.model_dump_json()}\n" for letter in letters).encode())
    else:
        store.remove(LIST)


def given_up(store: Store, works: Sequence[Work]) -> set[tuple[str, int]]:
    """Return the places of the works that were given up and that no run has finished nevertheless.

    Raises:
        SinkError: the store cannot be read.
    """
    dead = ids_and_numbers(store.list("dead"))
    return {work.place for work in works if work.place in dead and not is_done(store, work)}


def remove_dead_letters(store: Store, works: Sequence[Work], only: Kind | None) -> int:
    """Remove dead letters, of one kind if asked, so that the next run tries their segments.

    Returns:
        The number of segments that it will try: some letters are of segments that a run has finished since.

    Raises:
        SinkError: they cannot be read or removed.
    """
    letters = dead_letters(store)
    chosen = [name for name, letter in letters.items() if only in (None, letter.kind)]
    if only is None:
        chosen = list(store.list("dead"))
    tried = given_up(store, works) & ids_and_numbers(chosen)
    for name in chosen:
        store.remove(name)
    write_list(store, {letter.place for name, letter in letters.items() if name not in chosen})
    return len(tried)
