"""Messages to systemd over the socket in NOTIFY_SOCKET: the protocol of sd_notify(3)."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send assignments such as READY=1 in one datagram, and return whether it was sent.

    Without NOTIFY_SOCKET, or if its owner is gone, nothing happens: a run never fails because of its supervisor.

    Args:
        lines: the assignments; a line break in one becomes a space.
        environ: has NOTIFY_SOCKET, a path or an abstract address that begins with @.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@") or not hasattr(socket, "AF_UNIX"):
        return False
    text = "\n".join(" ".join(line.splitlines()) for line in lines)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(1.0)
        sender.sendto(text.encode("utf-8", "replace"), f"\0{address[1:]}" if address[0] == "@" else address)
        return True
    return False


def watchdog_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return the time within which systemd expects WATCHDOG=1 of this process, or None."""
    try:
        seconds = int(environ.get("WATCHDOG_USEC", "0")) / 1e6
        is_meant = int(environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except ValueError:
        return None
    return seconds if seconds > 0 and is_meant else None
