"""Run a program in the server's child: `client.py SOCKET PROGRAM ARGUMENT...`, as if it ran in this process.

The child gets this process's standard files, folder, environment and namespaces, and the signals that end a program.
This process ends as the child does, by the same signal if one killed it. It imports nothing but the standard library's
lightest, so that it starts in milliseconds.
"""

import json
import os
import signal
import socket
import sys

NAMESPACES = ("net", "uts", "mnt", "pid")
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def request_of(words: list[str]) -> tuple[bytes, list[int]]:
    """Return what the server is asked for, and the files that belong to it."""
    request = json.dumps({"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    spaces = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in NAMESPACES]
    return request, [0, 1, 2, *spaces]


def end_as(code: int, number: int) -> int:
    """Die of a signal, or return the exit code."""
    if not number:
        return code
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # the first process of a PID namespace survives its own signals


def main(address: str, *words: str) -> int:
    """Return the exit code of the program."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        request, files = request_of(list(words))
        socket.send_fds(connection, [len(request).to_bytes(4, "big")], files)
        connection.sendall(request)
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
        answer = connection.recv(2, socket.MSG_WAITALL)
    if len(answer) != 2:
        sys.stderr.write("the fork server has ended\n")
        return 1
    return end_as(*answer)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
