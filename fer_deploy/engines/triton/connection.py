"""TritonConnection: calls to one model on a server, from several threads, also over the server's restarts."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.engines.waiting import require_wanted
from fer_deploy.errors import EngineError

_log = logging.getLogger(__name__)
T = TypeVar("T")

CALL_LIMIT_S: Final = 10.0
"""Time limit of one request; a server that needs longer is asked again."""
OPEN_LIMIT_S: Final = 5.0
"""Time that the server may take to answer when a model is opened."""
AWAY_LIMIT_S: Final = 60.0
"""Time that a server may be away, as when it is restarted, until a call fails."""
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.5)
"""Between two tries; the last one repeats."""
_AWAY: Final = frozenset(f"StatusCode.{name}" for name in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "NOT_FOUND", "INTERNAL"))
"""Answers of a server that is down, starts, loads the model again, or whose model's process crashed (internal)."""
_CHANNEL: Final = [
    ("grpc.use_local_subchannel_pool", 1),  # else a new connection waits for the pause of an older one
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


class TritonConnection:
    """Each thread that calls has a client of its own. A server that is restarted is waited for."""

    def __init__(
        self,
        address: TritonAddress,
        client: Any,
        *,
        description: str,
        require_same: Callable[[Any], None],
        away_limit_s: float = AWAY_LIMIT_S,
    ) -> None:
        """Take the client that read the contract.

        Args:
            address: of the model.
            client: from `connected`.
            description: of server and model, for errors.
            require_same: called with a client before the first call after an absence; raises EngineError if another
                model answers now.
            away_limit_s: seconds that the server may be away until a call fails.
        """
        self._address, self._description, self._require_same = address, description, require_same
        self._away_limit_s = away_limit_s
        self._idle: list[Any] = [client]
        self._closed = threading.Event()

    def call(self, call: Callable[[Any], T]) -> T:
        """Return what a call gives with a client that no other thread uses; wait for a server that is away.

        Raises:
            EngineError: the server refused the call, was away for too long, or came back with another model; or the
                connection is closed.
            GivenUp: this thread's run ended meanwhile; see `waiting_until`.
        """
        client = self._take_client()
        try:
            return call(client)
        except InferenceServerException as err:
            if str(err.status()) not in _AWAY:
                raise EngineError(f"{self._description} refused a batch: {reason(err)}") from err
            return self._call_when_back(client, call, err)
        finally:
            self._idle.append(client)

    def _take_client(self) -> Any:
        if self._closed.is_set():
            raise EngineError(f"{self._description} is closed. Fix: open it again")
        try:
            return self._idle.pop()
        except IndexError:
            return _client(self._address)

    def _call_when_back(self, client: Any, call: Callable[[Any], T], first: InferenceServerException) -> T:
        started, tries, err = time.monotonic(), 0, first
        _log.warning("%s is away (%s); waiting for it, up to %g s", self._address, reason(err), self._away_limit_s)
        while time.monotonic() - started < self._away_limit_s:
            if self._closed.wait(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)]):
                break
            require_wanted(str(self._address))
            tries += 1
            try:
                self._require_same(client)
                answer = call(client)
            except InferenceServerException as again:
                err = again
                if str(err.status()) not in _AWAY:
                    raise EngineError(f"{self._description} refused a batch: {reason(err)}") from err
                continue
            _log.warning("%s is back after %.1f s", self._address, time.monotonic() - started)
            return answer
        raise EngineError(
            f"{self._address} has been away for {time.monotonic() - started:.0f} s: {reason(err)}. "
            f"Fix: start its server again; the same command goes on"
        ) from err

    def close(self) -> None:
        """Close the clients; a call that waits for the server fails."""
        self._closed.set()
        while self._idle:
            self._idle.pop().close()


def connected(address: TritonAddress, read: Callable[[Any], T]) -> tuple[Any, T]:
    """Return a client and what `read` gives with it, the contract of the model.

    Raises:
        EngineError: no answer, or the server does not have the model; and what `read` raises.
    """
    client = _client(address)
    try:
        return client, read(client)
    except InferenceServerException as err:
        client.close()
        raise EngineError(f"{address} cannot be used: {reason(err)}. Fix: {_fix_to_open(err, address)}") from err
    except Exception:
        client.close()
        raise


def _client(address: TritonAddress) -> Any:
    return triton.InferenceServerClient(address.url, ssl=address.is_encrypted, channel_args=list(_CHANNEL))


def reason(err: InferenceServerException) -> str:
    """Return the first line of what the server or the client said."""
    return f"{err.message() or 'no reason given'}".strip().splitlines()[0][:300].rstrip(".")


def _fix_to_open(err: InferenceServerException, address: TritonAddress) -> str:
    said = str(err.message()).lower()
    if address.is_encrypted and "handshake" in said:
        plain = replace(address, is_encrypted=False)
        return f"{plain} if the server has no TLS, or a certificate there that this machine trusts"
    if "failed to connect" in said or "deadline" in said:
        return f"start tritonserver, and check that {address.url} is its gRPC port"
    if "resolving" in said or "lookup" in said:
        return f"check the host: {address.host} has no address in the network"
    return (
        f"check name and version: curl -X POST http://{address.host}:8000/v2/repository/index lists the server's models"
    )
