"""Sink: the interface of every output of the loop."""

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
    """An output of the loop; a context manager, so that it is always closed.

    Each sink has its own thread, which alone calls `write`, `idle` and `close`. With a recording the loop waits for a
    slow sink. Live, it drops and counts the oldest results that wait for the sink, and continues without a failed sink.

    Attributes:
        name: name in messages and reports, such as "jsonl".
        needs_picture: whether `write` uses the annotated picture; if no sink does, none is drawn.
        needs_pixels: whether `write` uses the frame's pixels; if not, it gets results without pixels, so that many may
            wait.
        needs_main_thread: True for windows; at most one sink of a loop.
        live_capacity: results that may wait for it in live mode, at least 1.
        source: number of the one source whose results it receives; None: all sources.
        files: files that it has written, beginning with the one that the user named; empty until they are finished.
        num_dropped: results that it accepted but lost, for example without a broker. Read from any thread.
        is_incomplete: whether the run or a `write` has failed; set before `close`. Then a sink does not replace an
            older file, and raises `KeptBeside`. A sink without any frame does not replace one either, without an error.
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
        """Switch to live mode: a source proved to be live. Called once at most, in any thread, before its results."""
        return None

    @abstractmethod
    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Write one result. Return False to ask the loop to end.

        Raises:
            SinkError: the result cannot be written.
        """

    def idle(self) -> bool:
        """Handle events while there are no results, about ten times a second. Return False to ask the loop to end."""
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
        except SinkError as later:  # the first exception propagates
            _log.warning("%s", later)
