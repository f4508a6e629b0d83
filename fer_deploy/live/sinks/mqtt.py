"""MqttSink: publish results to an MQTT broker."""

import logging
import re
import threading
import time
from collections import deque
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from fer_deploy.errors import ConfigError, FerDeployError, MissingDependencyError, SinkError
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.message import event_from_json
from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sinks.result_json import line_from_result
from fer_deploy.privacy.redaction import ESCAPE_FIX, is_ambiguous, without_password
from fer_deploy.vision.types import FrameResult

_log = logging.getLogger(__name__)
MAX_UNSENT = 64
"""Limit of messages that wait for the network; new ones are dropped beyond it."""
MAX_TOPIC_BYTES = 65_535
"""Limit of the protocol, which stores the length in two bytes."""
_MARKS = frozenset("+#?\N{REPLACEMENT CHARACTER}")
"""Wildcards, the sign of a query, and the replacement of escapes that are not UTF-8."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_CONNECT_TIMEOUT_S = 3.0
_MAX_DELAY_S = 30
_FAREWELL_S = 1.0
"""Time that `close` waits for the last messages to be sent."""
_EXPECTED = "Expected mqtt://[user:password@]host[:port]/topic, or mqtts:// for TLS"
_TEMPORARY = ("Server unavailable", "Server busy", "Quota exceeded", "Connection rate exceeded")


class BrokerAddress(NamedTuple):
    """Address of a broker and topic; `str` hides user, password, and a topic that looks like a token."""

    host: str
    port: int
    topic: str
    is_tls: bool
    user: str | None
    password: str | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return without_password(f"mqtt{'s' if self.is_tls else ''}://{host}:{self.port}/{quote(self.topic)}")


def parse_address(text: str) -> BrokerAddress:
    """Parse an address.

    Raises:
        ConfigError: it is invalid; the message does not repeat it, since it may contain a password.
    """
    if is_ambiguous(text):
        raise ConfigError(
            "cannot publish: an @ in the MQTT address comes after a /, # or ?, so it is unclear where the "
            f"password ends and the host begins. Fix: {ESCAPE_FIX}"
        )
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(
            f"cannot publish: not an MQTT address. {_EXPECTED}. Fix: --mqtt mqtt://localhost/faces; {ESCAPE_FIX}"
        ) from None
    topic = unquote(parts.path.removeprefix("/"))
    _check(parts, topic, text)
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return BrokerAddress(str(parts.hostname), port, topic, parts.scheme == "mqtts", user, password)


def _check(parts: SplitResult, topic: str, address: str) -> None:
    if not parts.hostname:
        raise ConfigError(
            f"cannot publish: the MQTT address names no host. {_EXPECTED}. Fix: --mqtt mqtt://localhost/faces"
        )
    if not topic or not topic.isprintable() or _MARKS.intersection(topic) or re.search(r"[?#]", address):
        raise ConfigError(
            f"cannot publish to {parts.hostname}: the topic must not be empty or contain + # ? or control characters, "
            f"not even as %23. {_EXPECTED}. Fix: --mqtt with a topic such as faces/door"
        )
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ConfigError(
            f"cannot publish to {parts.hostname}: the topic has {len(topic.encode())} bytes, at most {MAX_TOPIC_BYTES} "
            f"are allowed. {_EXPECTED}. Fix: --mqtt with a shorter topic"
        )


class MqttSink(Sink):
    """Publishes one JSON message a frame, at most once (QoS 0), and reconnects by itself.

    With a log of events it subscribes to `TOPIC/events`; see `event_from_json`. A message that is refused is logged.

    Never waits for the network: messages that cannot be sent are dropped and counted in `num_dropped`. A thread of
    paho connects and sends.
    """

    name = "mqtt"
    live_capacity = 64
    needs_pixels = False

    def __init__(self, url: str, *, num_sources: int = 1, events: EventLog | None = None) -> None:
        """Start to connect.

        Args:
            url: see `BrokerAddress`.
            num_sources: with several, each message names its source.
            events: notes the events of other programs.

        Raises:
            ConfigError: the address is invalid.
            MissingDependencyError: paho-mqtt is not installed.
        """
        self.address = parse_address(url)
        self._with_source, self._events = num_sources > 1, events
        self._refusal = ""
        self._is_connected = threading.Event()
        self._was_connected = False
        self._unsent: deque[Any] = deque()
        self._client = self._connecting_client()

    def _connecting_client(self) -> Any:
        try:
            mqtt = import_module("paho.mqtt.client")
        except ModuleNotFoundError as err:
            raise MissingDependencyError(
                f"cannot publish to {self.address}: {err.name} is not installed. Fix: pip install 'fer-toolchain[mqtt]'"
            ) from err
        client = mqtt.Client(import_module("paho.mqtt.enums").CallbackAPIVersion.VERSION2)
        if self.address.user is not None:
            client.username_pw_set(self.address.user, self.address.password)
        if self.address.is_tls:
            client.tls_set()
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.reconnect_delay_set(1, _MAX_DELAY_S)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message = self._on_message
        client.connect_async(self.address.host, self.address.port)
        client.loop_start()
        return client

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not reason.is_failure:
            self._was_connected = True
            self._is_connected.set()
            if self._events is not None:
                client.subscribe(f"{self.address.topic}/events", qos=1)
        elif reason.getName() not in _TEMPORARY:
            self._refusal = str(reason)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        """Note an event, in paho's thread. A retained message is of an earlier run."""
        if self._events is None or message.retain:
            return
        try:
            self._events.note(event_from_json(message.payload))
        except FerDeployError as err:  # what cannot be written ends the sink of events
            _log.warning("%s/events: %s", self.address, err)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._is_connected.clear()

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Publish a message, or drop it."""
        if self._refusal:
            raise SinkError(
                f"{self.address} refuses the connection: {self._refusal}. Fix: user and password in the address, as in "
                "mqtt://user:password@host/topic"
            )
        self._forget_settled()
        if not self._is_connected.is_set():  # paho discards unsent messages
            self.num_dropped += len(self._unsent) + 1
            self._unsent.clear()
        elif len(self._unsent) >= MAX_UNSENT:
            self.num_dropped += 1
        else:
            self._publish(line_from_result(result, with_source=self._with_source))
        return True

    def _publish(self, line: str) -> None:
        info = self._client.publish(self.address.topic, line, qos=0)
        if info.rc == 0:
            self._unsent.append(info)
        else:
            self.num_dropped += 1

    def _forget_settled(self) -> None:
        """Remove messages that were sent, and those that paho discarded; the latter count as dropped."""
        while self._unsent:
            try:
                if not self._unsent[0].is_published():
                    return
            except RuntimeError:  # paho marks messages this way that it had not sent before it reconnected
                self.num_dropped += 1
            self._unsent.popleft()

    def close(self) -> None:
        """Wait a moment for the last messages, disconnect from the broker, and end paho's thread.

        Raises:
            SinkError: the broker was never reached.
        """
        deadline = time.monotonic() + _FAREWELL_S
        try:
            self._forget_settled()
            while self._unsent and self._is_connected.is_set() and (left := deadline - time.monotonic()) > 0:
                with suppress(RuntimeError):  # discarded; the next line counts it
                    self._unsent[0].wait_for_publish(left)
                self._forget_settled()
            self.num_dropped += len(self._unsent)
            self._client.disconnect()
        finally:
            self._client.loop_stop()
        if self.num_dropped and not self._was_connected and not self._refusal:
            raise SinkError(
                f"{self.address} was never reached, all {self.num_dropped} messages are lost. "
                "Fix: check the address, and that the broker runs"
            )
