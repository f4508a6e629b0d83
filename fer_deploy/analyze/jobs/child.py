"""WorkerChild: the parent's side of one worker process."""

import contextlib
import json
import os
import subprocess
import sys
from multiprocessing import Pipe
from typing import Final

from fer_deploy.analyze.jobs.messages import Died, Message, Recipe, Task

_REAP_S: Final = 3.0
_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from fer_deploy.analyze.jobs.process import main; "
    "main(int(sys.argv[2]))"
)
_ONE_THREAD: Final = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class WorkerChild:
    """A running worker process. It runs in its own session, so that Ctrl-C in a terminal reaches only its parent."""

    def __init__(self, recipe: Recipe) -> None:
        """Start the process, which opens its models; raises OSError if the system refuses."""
        self.connection, theirs = Pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **_ONE_THREAD},
            )
        except OSError:
            self.connection.close()
            raise
        finally:
            theirs.close()
        self._send(recipe)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def give(self, task: Task) -> None:
        """Send a task."""
        self._send(task)

    def _send(self, what: object) -> None:
        with contextlib.suppress(OSError):  # it has died; `receive` reports it
            self.connection.send(what)

    def receive(self) -> Message:
        """Return its next message; waits for it."""
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            return Died(self._how_it_died())
        return message

    def _how_it_died(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        code = self._process.returncode
        if code is None:
            return "it hung up"
        return f"killed by signal {-code}" if code < 0 else f"it ended with code {code}"

    def kill(self) -> None:
        """Kill the process and free its resources; further calls do nothing."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)
        self.connection.close()
