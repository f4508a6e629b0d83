"""Start programs without their seconds of imports: a process that has loaded the packages forks for each.

`client.py` connects, sends its words, folder, environment, standard files and namespaces, then the signals that it
gets. The answer is two bytes: exit code and signal. A program is "fer-deploy", "fer-train", "torchrun" or "python". The
parent computes next to nothing, and in one thread: it has none to lose.
"""

import atexit
import ctypes
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from fork_server.client import NAMESPACES


def program_of(words: list[str]) -> Callable[[], object]:
    """Return what runs the words; sets `sys.argv`."""
    program, *rest = (word for word in words if word != "-u")
    if program == "python" and rest[0] == "-m":
        sys.argv = rest[1:]
        return lambda: runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    if program == "python":
        sys.argv = rest
        sys.path.insert(0, str(Path(rest[0]).resolve().parent))
        return lambda: runpy.run_path(rest[0], run_name="__main__")
    sys.argv = words
    if program == "torchrun":
        return import_module("torch.distributed.run").main
    return import_module(f"{program.replace('-', '_')}.__main__").main


def run(words: list[str]) -> int:
    """Return the exit code."""
    code = 1
    try:
        program_of(words)()
        code = 0
    except SystemExit as err:
        code = err.code if isinstance(err.code, int) else int(err.code is not None)
        if isinstance(err.code, str):
            sys.stderr.write(f"{err.code}\n")
    except BaseException:  # noqa: BLE001 - as Python itself ends
        traceback.print_exc()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def enter(namespaces: list[int]) -> None:
    """Enter the client's namespaces, where they are not those of this process: its PID namespace with the next fork."""
    libc = ctypes.CDLL(None, use_errno=True)
    others = [
        given
        for name, given in zip(NAMESPACES, namespaces, strict=True)
        if os.fstat(given).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino
    ]  # before the first is entered: /proc may be another one then
    for given in others:
        if libc.setns(given, 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def start(connection: socket.socket) -> int:
    """Fork the program that the client asks for; return its process id."""
    header, files, _, _ = socket.recv_fds(connection, 4, 3 + len(NAMESPACES))
    length = int.from_bytes(header, "big")
    request = json.loads(connection.recv(length, socket.MSG_WAITALL))
    enter(files[3:])
    pid = os.fork()
    if pid == 0:
        connection.close()
        for standard, given in enumerate(files[:3]):
            os.dup2(given, standard)
        for given in files:
            os.close(given)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        os._exit(run(request["words"]))
    for given in files:
        os.close(given)
    return pid


def serve(connection: socket.socket) -> None:
    """Run the program of one client, pass signals on to it, and answer how it ended."""
    pid = start(connection)
    ended = os.pidfd_open(pid)
    while ended not in select.select([connection, ended], [], [])[0]:
        number = connection.recv(1)
        os.kill(pid, number[0] if number else signal.SIGKILL)  # nothing: the client was killed
        if not number:
            break
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(bytes([max(code, 0), max(-code, 0)]))


def listen(address: str, owner: str) -> None:
    """Serve until the owner, a process, has ended, then end all programs: this process leads their group."""
    ended = os.pidfd_open(int(owner))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}.new")
        listener.listen()
        os.rename(f"{address}.new", address)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children of `serve` need no farewell
        while ended not in select.select([listener, ended], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                os.close(ended)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(connection)
                os._exit(0)
            connection.close()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    listen(*sys.argv[1:])
