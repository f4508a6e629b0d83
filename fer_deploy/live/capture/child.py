"""CaptureChild: the capture process as seen by the one that starts it, receives its pictures and kills it."""

import contextlib
import json
import os
import subprocess
import sys
from collections import deque
from multiprocessing.connection import Pipe

import numpy as np
from numpy.typing import NDArray

from fer_deploy.live.capture.frame_memory import FrameMemory, create_memory_file
from fer_deploy.live.capture.protocol import Ended, Message, Opened, Picture, Request, receive, send, send_slot

REAP_S = 1.0
"""How long a killed process may take to go; one that a driver holds longer is left to the system."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from fer_deploy.live.capture.process import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)


class CaptureChild:
    """A running capture process. Not for several threads at once.

    It runs in a session of its own, so that Ctrl-C in a terminal is heard by its parent only, and says
    nothing on stderr.
    """

    def __init__(self, request: Request) -> None:
        """Start the process; OSError if the system refuses."""
        self._messages: deque[Message] = deque()
        self._is_live = True
        self._connection, theirs = Pipe()
        self._memory_handle = create_memory_file()
        self._memory = FrameMemory(self._memory_handle)
        handles = (theirs.fileno(), self._memory_handle)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), *map(str, handles)],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
            with contextlib.suppress(OSError):  # it died at once; `receive` will say so
                send(self._connection, request)
        except OSError:
            self._release()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def receive(self, timeout_s: float) -> Message | None:
        """Return its next message, or None if `timeout_s` passed first.

        Of live pictures that wait, only the newest is left.
        A process that died says so by a last `Ended`.
        """
        try:
            while self._connection.poll(0 if self._messages else timeout_s):
                self._take(receive(self._connection))
        except (EOFError, OSError):
            if not self._messages:
                return Ended(self._how_it_died())
        return self._messages.popleft() if self._messages else None

    def _take(self, message: Message) -> None:
        if isinstance(message, Opened):
            self._is_live = message.is_endless
        older = self._messages[-1] if self._messages else None
        if self._is_live and isinstance(message, Picture) and isinstance(older, Picture):
            self._messages.pop()
            self._give_back(older)
        self._messages.append(message)

    def picture(self, message: Picture) -> NDArray[np.uint8]:
        """Return the picture of a message, (H, W, 3), as the caller's own; call it once."""
        picture = self._memory.read(message.offset, message.height, message.width)
        self._give_back(message)
        return picture

    def _give_back(self, message: Picture) -> None:
        with contextlib.suppress(OSError):  # it died meanwhile; `receive` will say so
            send_slot(self._connection, message.slot)

    def _how_it_died(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)
        code = self._process.returncode
        if code is None:
            return "its capture process hung up"
        return (
            f"its capture process was killed by signal {-code}" if code < 0 else f"its capture process ended ({code})"
        )

    def kill(self) -> None:
        """End the process and free what it used; any call after the first does nothing."""
        if self._memory_handle < 0:
            return
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)
        self._release()

    def _release(self) -> None:
        self._connection.close()
        self._memory.close()
        os.close(self._memory_handle)
        self._memory_handle = -1
