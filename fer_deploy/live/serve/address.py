"""Parse the address of the web page, open its listening socket, and check whether only this machine can reach it."""

import ipaddress
import socket
from dataclasses import dataclass

from fer_deploy.errors import ConfigError, SinkError

LOOPBACK = "127.0.0.1"
_BACKLOG = 32
_FIX = "Fix: --serve 8080 for this machine alone, or --serve 0.0.0.0:8080 for the network"


@dataclass(frozen=True)
class Address:
    """A host, as a name or a number, and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_from_text(text: str) -> Address:
    """Parse PORT, :PORT, HOST:PORT or [IPv6]:PORT. Without a host, and for localhost, only this machine can reach it.

    Raises:
        ConfigError: the text has another form.
    """
    if "://" in text:
        place = text.partition("://")[2].rstrip("/")
        raise ConfigError(f"cannot serve at {text!r}: expected HOST:PORT without http://. Fix: --serve {place}")
    host, _, port = text.strip().rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if is_bracketed != (":" in host):
        raise ConfigError(f"cannot serve at {text!r}: an IPv6 address needs brackets. Fix: --serve [::1]:8080")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(
            f"cannot serve at {text!r}: {port!r} is not a port, expected HOST:PORT or PORT with 0 to 65535. {_FIX}"
        )
    return Address(LOOPBACK if host in ("", "localhost") else host, int(port))


def listen(address: Address) -> socket.socket:
    """Return a listening socket.

    Raises:
        SinkError: the name is unknown, the port is in use, or the system refuses.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as err:
        raise SinkError(f"cannot serve at {address}: no such host ({err}). {_FIX}") from err
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError as err:
        listener.close()
        raise SinkError(f"cannot serve at {address}: {err.strerror}. Fix: another --serve HOST:PORT") from err
    listener.setblocking(False)
    return listener


def bound_address(listener: socket.socket) -> Address:
    """Return the actual address of a socket: the IP address, and the port that the system chose."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host; False for every name but localhost."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable_host(host: str) -> str:
    """Return the host for a browser: for "all interfaces" this machine's address in its network."""
    if not ipaddress.ip_address(host.partition("%")[0]).is_unspecified:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737; a datagram socket sends nothing when it connects
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
