"""What the capture process and the one that started it say to each other: small JSON messages over a socket pair."""

import json
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

NUM_SLOTS: Final = 3
"""One that is being read, one that waits, one that is being written."""


@dataclass(frozen=True)
class Request:
    """What to open. It travels over the socket, since a password must not appear in a list of processes.

    Attributes:
        reader: module of `fer_deploy.live.capture` whose `open_reader` opens it: "camera_reader" or "stream_reader".
        address: camera number or URL, with its password.
        options: for the reader.
        stream: number of the stream that the user chose; None: none.
    """

    reader: str
    address: str
    options: dict[str, str] = field(default_factory=dict)
    stream: int | None = None


@dataclass(frozen=True)
class Started:
    """The process has loaded its packages and begins to connect."""


@dataclass(frozen=True)
class Opened:
    """Connected. `is_endless`: frames that nobody takes in time are dropped; otherwise the process waits.

    `notes`: what people should know of the way it is read.
    """

    fps: float
    num_frames: int | None
    is_endless: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture lies in a slot, which is the receiver's until it sends the slot's number back.

    Attributes:
        slot: number of the slot.
        offset: of its first pixel in the memory file; (height, width, 3) follow.
        height: in pixels.
        width: in pixels.
        index: number since the connection began; gaps were dropped.
        position_s: in the recording; None where it tells none.
        captured_ns: `time.monotonic_ns()` when it was decoded.
        num_corrupt: skipped so far.
    """

    slot: int
    offset: int
    height: int
    width: int
    index: int
    position_s: float | None
    captured_ns: int
    num_corrupt: int


@dataclass(frozen=True)
class Progress:
    """Nothing but damaged pictures came for a while."""

    num_corrupt: int


@dataclass(frozen=True)
class Ended:
    """The source came to its end, or broke: then `failure` says why, perhaps quoting the address."""

    failure: str
    num_corrupt: int = 0


Message = Started | Opened | Picture | Progress | Ended
_KINDS: Final = {kind.__name__: kind for kind in (Request, Started, Opened, Picture, Progress, Ended)}


def send(connection: Connection, message: Message | Request) -> None:
    """Send a message; OSError when the other side is gone."""
    connection.send_bytes(json.dumps([type(message).__name__, asdict(message)]).encode())


def receive(connection: Connection) -> Any:
    """Wait for a message; EOFError or OSError when the other side is gone."""
    kind, fields = json.loads(connection.recv_bytes())
    return _KINDS[kind](**fields)


def send_slot(connection: Connection, slot: int) -> None:
    """Give a slot back; OSError when the other side is gone."""
    connection.send_bytes(bytes([slot]))


def receive_slot(connection: Connection) -> int:
    """Wait for a slot; EOFError or OSError when the other side is gone."""
    return connection.recv_bytes()[0]
