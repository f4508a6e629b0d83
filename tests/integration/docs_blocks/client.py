"""Run a program in the server's child: `client.py SOCKET PROGRAM ARGUMENT...`, with this process's files and folder.

It imports nothing but the standard library's lightest, so that it starts in milliseconds.
"""

import json
import os
import socket
import sys


def main(address: str, *words: str) -> int:
    """Return the exit code of the program."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        request = json.dumps({"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
        socket.send_fds(connection, [len(request).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(request)
        return connection.recv(1)[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
