"""ForkServer: programs of a test that start in milliseconds, forked from a process that has imported what they need."""

import fcntl
import os
import signal
import stat
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
CLIENT = Path(__file__).with_name("client.py")
PATHS = os.pathsep.join([str(TESTS.parent), str(TESTS), *filter(None, sys.path)])


class ForkServer:
    """The process of a script that imports, then calls `listen`. It ends with its owner at the latest.

    Args:
        folder: of its socket. Processes that name the same folder share a server, which the first of them starts.
        script: is given the socket's path and the owner's process id.
        owner: a process id; None: this process.
    """

    def __init__(self, folder: Path, script: Path, owner: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._address = folder / "socket"
        with (folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._address.exists():
                self._pid = self._started(script, owner or os.getpid(), folder / "server.log")
                self.write_program(folder, "python")
        self.python = folder / "python"

    def _started(self, script: Path, owner: int, log: Path) -> int:
        words = [sys.executable, str(script), str(self._address), str(owner)]
        files = [
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(words[0], words, {**os.environ, "PYTHONPATH": PATHS}, file_actions=files, setsid=True)
        while not self._address.exists():
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), log.read_text()
            time.sleep(0.05)
        return pid

    def end(self) -> None:
        """End the server and all its programs. Only the process that started it may."""
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def command(self, program: str) -> list[str]:
        """Return the words that run a program: python, torchrun, fer-train or fer-deploy."""
        return [sys.executable, "-S", "-E", str(CLIENT), str(self._address), program]

    def write_program(self, folder: Path, program: str) -> Path:
        """Write a script into the folder that runs the program."""
        script = folder / program
        words = " ".join(f'"{word}"' for word in self.command(program))
        script.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return script
