"""Sink: what every output of the loop offers."""

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy.errors import SinkError
from fer_deploy.vision.types import FrameResult

_log = logging.getLogger(__name__)
Picture = NDArray[np.uint8]
"""(H, W, 3) uint8 BGR, shared by all sinks of a frame and therefore read-only."""


class Sink(ABC):
    """An output of the loop; a context manager, so that it is finalized however the loop ends.

    Each sink has a thread of its own, which alone calls `write`, `idle` and `close`. With a recording the loop waits
    for a slow sink; live it drops the oldest results that wait for it, counts them, and goes on without a sink that
    failed.

    Attributes:
        name: for people and reports, such as "jsonl".
        needs_picture: whether `write` looks at the annotated picture; if no sink does, none is drawn.
        needs_pixels: whether `write` looks at the frame's pixels; if not, it gets results whose frame has none, so that
            many may wait.
        needs_main_thread: windows do; at most one sink of a loop may.
        live_capacity: results that may wait for it in live mode, at least 1.
        source: number of the one source whose results it takes; None: those of all.
        files: what it has written, the file that the user named first; empty until they are finished.
        num_dropped: results that it took and could not pass on, as when a broker is away. Read from any thread.
        is_incomplete: whether the run has failed, or a `write`; set before `close`. A sink whose file would replace an
            older one leaves that as it is, and raises `KeptBeside`. So it does, without an error, if it got no frame.
    """

    name = "sink"
    needs_picture = False
    needs_pixels = True
    needs_main_thread = False
    live_capacity = 8
    source: int | None = None
    files: tuple[Path, ...] = ()
    num_dropped = 0
    is_incomplete = False

    def become_live(self) -> None:
        """Learn that a source proved to be live; called at most once, from any thread, ahead of its first result."""
        return None

    @abstractmethod
    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Take one frame. Return False to ask the loop to end.

        Raises:
            SinkError: it cannot be written.
        """

    def idle(self) -> bool:
        """Do what is due while no result comes, about ten times a second. Return False to ask the loop to end."""
        return True

    def close(self) -> None:
        """Finalize; called once.

        Raises:
            SinkError: what was written is incomplete.
        """
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if err is None:
            self.close()
            return
        self.is_incomplete = True
        try:
            self.close()
        except SinkError as later:  # what was raised first goes on
            _log.warning("%s", later)
