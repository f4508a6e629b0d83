"""Member: one worker of a pool, as the run sees it."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from fer_deploy.archive.on_ray.node_worker import Reply
from fer_deploy.archive.work import Work


@dataclass(eq=False)
class Member:
    """A worker of the pool.

    Attributes:
        number: from 1.
        actor: its handle.
        state: of its life.
        reply: that is awaited.
        node: id of its node; empty as long as Ray has not placed it.
        host: name of its machine.
        work: its segment.
        own: segments that only this worker should compute, as it has their video.
        signs: its last heartbeat.
        seen_s: when it got on, on the pool's clock; of an idle worker since when it is idle.
        beat: heartbeat that is awaited.
    """

    number: int
    actor: Any
    reply: Any
    state: Literal["asked", "opening", "idle", "busy"] = "asked"
    node: str = ""
    host: str = ""
    work: Work | None = None
    own: deque[Work] = field(default_factory=deque)
    signs: int = -1
    seen_s: float = 0.0
    beat: Any = None


class Event(NamedTuple):
    """What became of a segment.

    Attributes:
        member: its worker.
        work: the segment.
        reply: of the worker, or `Failed` if it was lost; None if its node was lost.
    """

    member: Member
    work: Work
    reply: Reply | None
