"""Source: what every origin of frames offers."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from fer_deploy.vision.types import Frame


@dataclass
class SourceHealth:
    """What a source has been through; written by its capture thread, read by any.

    Attributes:
        state: "connecting", "running", "stalled" (a pipe that says nothing for the moment), "reconnecting" or "ended".
        num_captured: frames handed over.
        num_overtaken: frames that gave way to newer ones before they were handed over.
        num_corrupt: frames or packets that could not be decoded and were skipped.
        num_unused: captured frames that the run's end left unanalyzed; 0 while it runs.
        num_missing: frames that a recording announces and does not hold.
        num_reconnects: times the source came back after a failure.
        num_stalls: times it stopped delivering without an error.
        num_frozen: times it repeated one picture for so long that it counted as failed.
        num_size_changes: changes of resolution in mid-stream.
        last_error: of the last failure, without passwords; empty if there was none.
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

    Opened by its constructor, so that a bad source is known before any thread starts, unless the user asked to wait.

    Attributes:
        is_live: frames come at their own time; what cannot be processed in time is dropped. Otherwise nothing is.
            None: not known yet. It is decided once, at the latest before the first frame, and never changes.
        fps: nominal frames per second, for recordings.
        name: for people and logs, without passwords.
        num_frames: how many there will be as far as the recording tells, None where it does not.
        notes: what people should know of the way it is read, in sentences, such as which stream of several.
        first_size: width and height of the first frame, in whose pixels a region of interest is given; the loop's
            capture thread sets it, unless the maker of a source that starts in the middle did.
    """

    is_live: bool | None
    fps: float
    name: str = ""
    num_frames: int | None = None
    notes: tuple[str, ...] = ()
    first_size: tuple[int, int] | None = None

    @property
    def may_end(self) -> bool:
        """Whether its end is the recording's, and no failure."""
        return self.is_live is False

    def __init__(self) -> None:
        self.health = SourceHealth()
        self._stopped = threading.Event()

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield frames until the source ends or `stop`; called once, in the capture thread.

        Raises:
            StreamError: the source broke, and waiting or connecting again did not or cannot help.
        """

    def stop(self) -> None:
        """Ask `frames` to end at once, whatever it waits for; callable from any thread, takes no lock, returns soon."""
        self._stopped.set()

    def close(self) -> None:
        """Release the device or file; called in the capture thread when it ends."""
        return None
