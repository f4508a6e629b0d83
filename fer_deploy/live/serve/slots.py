"""Slots: limit the open connections, in total and for each address, and choose which one to close for a new one."""

import ipaddress
from collections import Counter
from typing import Protocol

MAX_CONNECTIONS = 64
"""Limit of all connections: cameras need file descriptors of the same process."""
MAX_UNKNOWN = 32
"""Limit of connections without the token; the other slots are reserved for connections with it."""
MAX_UNKNOWN_PER_ADDRESS = 16


class Client(Protocol):
    """One open connection.

    Attributes:
        address: address of the client, from `client_address`.
        is_known: a request on it was accepted: it had the token, or the page needs none.
        is_idle: no request of it is being handled.
    """

    address: str
    is_known: bool
    is_idle: bool

    def drop(self) -> None:
        """Close at once, without a response."""


class Slots:
    """Admits connections. A new one is refused only if every slot is handling a request.

    A client that opens many idle connections loses its oldest one to each new connection, so it cannot block other
    clients.
    """

    def __init__(self) -> None:
        """Start with every slot free."""
        self._open: list[Client] = []  # the oldest first

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, client: Client) -> bool:
        """Return whether a connection is admitted; an older one may be dropped for it."""
        unknown = [other for other in self._open if not other.is_known]
        same_address = [other for other in unknown if other.address == client.address]
        if len(same_address) >= MAX_UNKNOWN_PER_ADDRESS:
            self._drop(same_address[0])
        elif len(unknown) >= MAX_UNKNOWN:
            busiest = Counter(other.address for other in unknown).most_common(1)[0][0]
            self._drop(next(other for other in unknown if other.address == busiest))
        elif len(self._open) >= MAX_CONNECTIONS:
            idle = [other for other in self._open if other.is_idle]
            if not idle:
                return False
            self._drop(idle[0])
        self._open.append(client)
        return True

    def leave(self, client: Client) -> None:
        """Free the slot of a connection, if it has one."""
        if client in self._open:
            self._open.remove(client)

    def _drop(self, client: Client) -> None:
        self._open.remove(client)
        client.drop()


def client_address(peername: object) -> str:
    """Return the IPv4 address, or the /64 network of the IPv6 address; empty if unknown."""
    host = str(peername[0]).partition("%")[0] if isinstance(peername, tuple) and peername else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
