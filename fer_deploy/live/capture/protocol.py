"""Protocol between the capture process and its parent: small JSON messages over a socket pair."""

import json
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

NUM_SLOTS: Final = 3
"""One slot that is being read, one that waits, one that is being written."""


@dataclass(frozen=True)
class Request:
    """What to open. It is sent over the socket, since a password must not appear in a list of processes.

    Attributes:
        reader: module of `fer_deploy.live.capture` whose `open_reader` opens it: "camera_reader" or "stream_reader".
        address: camera number or URL, with its password.
        options: for the reader.
        stream: number of the stream that the user chose, or None.
    """

    reader: str
    address: str
    options: dict[str, str] = field(default_factory=dict)
    stream: int | None = None


@dataclass(frozen=True)
class Started:
    """The process has loaded its packages and starts to connect."""


@dataclass(frozen=True)
class Opened:
    """Connected.

    Attributes:
        fps: as announced.
        num_frames: as announced, or None.
        is_endless: late frames are dropped; otherwise the process waits.
        notes: sentences for the user about how the source is read.
    """

    fps: float
    num_frames: int | None
    is_endless: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A frame is in a slot. The receiver owns the slot until it sends the slot's number back.

    Attributes:
        slot: number of the slot.
        offset: of the first of (height, width, 3) bytes in the memory file.
        height: in pixels.
        width: in pixels.
        index: number since the connection began; gaps are dropped frames.
        position_s: position in the recording, or None.
        captured_ns: `time.monotonic_ns()` when it was decoded.
        num_corrupt: frames skipped so far.
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
    """Only damaged frames came for a while."""

    num_corrupt: int


@dataclass(frozen=True)
class Ended:
    """The source ended, or failed: then `failure` gives the reason, which may contain the URL."""

    failure: str
    num_corrupt: int = 0


Message = Started | Opened | Picture | Progress | Ended
_KINDS: Final = {kind.__name__: kind for kind in (Request, Started, Opened, Picture, Progress, Ended)}


def send(connection: Connection, message: Message | Request) -> None:
    """Send a message; raises OSError if the other side has ended."""
    connection.send_bytes(json.dumps([type(message).__name__, asdict(message)]).encode())


def receive(connection: Connection) -> Any:
    """Wait for a message; raises EOFError or OSError if the other side has ended."""
    kind, fields = json.loads(connection.recv_bytes())
    return _KINDS[kind](**fields)


def send_slot(connection: Connection, slot: int) -> None:
    """Return a slot; raises OSError if the other side has ended."""
    connection.send_bytes(bytes([slot]))


def receive_slot(connection: Connection) -> int:
    """Wait for a returned slot; raises EOFError or OSError if the other side has ended."""
    return connection.recv_bytes()[0]
