"""Source: the interface of every source of frames."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from fer_deploy.vision.types import Frame


@dataclass
class SourceHealth:
    """State and counters of a source; written by its capture thread, read by any thread.

    Attributes:
        state: "connecting", "running", "stalled" (a pipe without data at the moment), "reconnecting" or "ended".
        num_captured: frames delivered.
        num_overtaken: frames replaced by newer ones before delivery.
        num_corrupt: frames or packets that could not be decoded and were skipped.
        num_unused: captured frames not analyzed when the run ended; 0 during the run.
        num_missing: frames that a recording announces but does not contain.
        num_reconnects: times the source came back after a failure.
        num_stalls: times it stopped delivering without an error.
        num_frozen: times it repeated one frame for so long that it counted as failed.
        num_size_changes: changes of resolution.
        last_error: text of the last failure, without passwords; empty if there was none.
    """

    state: str = "running"
    num_captured: int = 0
    num_overtaken: int = 0
    num_corrupt: int = 0
    num_unused: int = 0
    num_missing: int = 0
    num_reconnects: int = 0
    num_stalls: int = 0
    num_frozen: int = 0
    num_size_changes: int = 0
    last_error: str = ""


class Source(ABC):
    """A sequence of frames.

    The constructor opens it, so that a faulty source fails before any thread starts, unless the user asked to wait.

    Attributes:
        is_live: frames come in real time, and late ones are dropped; a recording drops none. None: not known yet. It is
            set once, before the first frame, and never changes.
        fps: nominal frames per second, for recordings.
        name: for messages and logs, without passwords.
        num_frames: number of frames according to the recording, or None.
        notes: sentences for the user about how the source is read, such as which of several streams.
        first_size: width and height of the first frame, to which a region of interest refers. The loop's capture thread
            sets it; the creator sets it for a source that starts in the middle.
    """

    is_live: bool | None
    fps: float
    name: str = ""
    num_frames: int | None = None
    notes: tuple[str, ...] = ()
    first_size: tuple[int, int] | None = None

    @property
    def may_end(self) -> bool:
        """Whether its end is the end of a recording, not a failure."""
        return self.is_live is False

    def __init__(self) -> None:
        self.health = SourceHealth()
        self._stopped = threading.Event()

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield frames until the source ends or `stop` is called; called once, in the capture thread.

        Raises:
            StreamError: the source failed, and reconnecting failed or is impossible.
        """

    def stop(self) -> None:
        """End `frames` at once, even while it waits. Callable from any thread; takes no lock and returns quickly."""
        self._stopped.set()

    def close(self) -> None:
        """Release the device or file; called in the capture thread when it ends."""
        return None
