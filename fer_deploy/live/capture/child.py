"""CaptureChild: start the capture process, receive its frames, and kill it."""

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

REAP_S = 3.0
"""Time that a killed process may take to end: over a second on a busy machine. If a driver blocks it longer, the system
cleans it up."""
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from fer_deploy.live.capture.process import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)


class CaptureChild:
    """A running capture process. Used by one thread at a time.

    It runs in its own session, so that Ctrl-C in a terminal reaches only its parent, and it writes nothing to stderr.
    """

    def __init__(self, request: Request) -> None:
        """Start the process; raises OSError if the system refuses."""
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
            with contextlib.suppress(OSError):  # it died at once; `receive` reports it
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
        """Return its next message, or None after `timeout_s`.

        Of waiting live frames, only the newest is returned. If the process died, the last message is `Ended`.
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
        """Return a copy of the message's frame, (H, W, 3); call it once for each message."""
        picture = self._memory.read(message.offset, message.height, message.width)
        self._give_back(message)
        return picture

    def _give_back(self, message: Picture) -> None:
        with contextlib.suppress(OSError):  # it died meanwhile; `receive` reports it
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
        """Kill the process and free its resources; further calls do nothing."""
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
