import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from paho.mqtt.client import MQTTMessageInfo
from unit.fer_deploy.live.sinks.mqtt_broker import GUARD_S, Broker

from fer_deploy.errors import ConfigError, MissingDependencyError, SinkError
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.sinks import MqttSink
from fer_deploy.live.sinks.mqtt import MAX_UNSENT, parse_address


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.close()


def connected(sink: MqttSink) -> MqttSink:
    assert sink._is_connected.wait(GUARD_S)
    return sink


def noticed(sink: MqttSink, callback: str) -> threading.Event:
    """Return an event that is set once paho has called this, the next time or again."""
    event, before = threading.Event(), getattr(sink._client, callback)

    def notice(*arguments) -> None:
        before(*arguments)
        event.set()

    setattr(sink._client, callback, notice)
    return event


def test_a_message_a_frame(broker, make_result):
    with connected(MqttSink(f"mqtt://127.0.0.1:{broker.port}/rooms/1/faces")) as sink:
        for index in range(3):
            assert sink.write(make_result(index, boxes=()), None) is True
    broker.next("connect")
    for index in range(3):
        _, flags, topic, message = broker.next("publish")
        assert (flags, topic) == (0, "rooms/1/faces")
        assert message == {"frame": index, "time_s": index / 10, "faces": []}
    broker.next("disconnect")
    assert sink.num_dropped == 0


def test_several_sources_are_told_apart(broker, make_result):
    with connected(MqttSink(f"mqtt://127.0.0.1:{broker.port}/t", num_sources=2)) as sink:
        sink.write(make_result(source=1), None)
    broker.next("connect")
    assert broker.next("publish")[3]["source"] == 1


def test_user_and_password_reach_the_broker(broker):
    with connected(MqttSink(f"mqtt://me:p%40ss@127.0.0.1:{broker.port}/t")) as sink:
        assert "ss" not in str(sink.address)
    body = broker.next("connect")[1]
    assert body.endswith(b"\x00\x02me\x00\x04p@ss")


def test_frames_without_a_broker_are_dropped_and_counted(make_result):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sink = MqttSink(f"mqtt://127.0.0.1:{port}/t")
    assert all(sink.write(make_result(index), None) for index in range(5))
    assert sink.num_dropped == 5
    with pytest.raises(SinkError, match=r"was never reached, all 5 messages are lost\. Fix: check the address"):
        sink.close()


def test_a_run_of_no_frame_needs_no_broker():
    MqttSink("mqtt://127.0.0.1:1/t").close()


def test_connects_again_when_the_broker_comes_back(make_result):
    broker = Broker()
    with connected(MqttSink(f"mqtt://127.0.0.1:{broker.port}/t")) as sink:
        lost = noticed(sink, "on_disconnect")
        broker.close()
        assert lost.wait(GUARD_S)
        sink.write(make_result(0), None)
        again = Broker(broker.port)
        try:
            connected(sink).write(make_result(1), None)
            again.next("connect")
            assert again.next("publish")[3]["frame"] == 1
        finally:
            again.close()
    assert sink.num_dropped >= 1


@pytest.mark.parametrize(("answer", "reason"), [(4, "Bad user name or password"), (5, "Not authorized")])
def test_refused_password_is_an_error_without_it(make_result, answer, reason):
    broker = Broker(answer=answer)
    try:
        with MqttSink(f"mqtt://me:secret@127.0.0.1:{broker.port}/t") as sink:
            refused = noticed(sink, "on_connect")
            assert refused.wait(GUARD_S)
            with pytest.raises(
                SinkError, match=rf"mqtt://127.*/t refuses the connection: {reason}\. Fix: user"
            ) as info:
                sink.write(make_result(), None)
        assert "secret" not in str(info.value)
    finally:
        broker.close()


def test_a_network_that_takes_nothing_costs_neither_time_nor_memory(broker, make_result, monkeypatch):
    with connected(MqttSink(f"mqtt://127.0.0.1:{broker.port}/t")) as sink:
        monkeypatch.setattr(sink._client, "publish", lambda *args, **options: MQTTMessageInfo(1))
        for index in range(MAX_UNSENT + 10):
            sink.write(make_result(index), None)
        assert len(sink._unsent) == MAX_UNSENT
        assert sink.num_dropped == 10
    assert sink.num_dropped == MAX_UNSENT + 10


@pytest.mark.slow
class TestReconnectDuringAPause:
    """The broker is away and back before the next frame: paho fails what it had not sent, and nobody has looked."""

    @pytest.fixture
    def ends_first(self) -> threading.Event:
        return threading.Event()

    @pytest.fixture
    def broker(self, ends_first) -> Iterator[Broker]:
        broker = Broker(ends_first=ends_first)
        yield broker
        ends_first.set()
        broker.close()

    def reconnected(self, sink: MqttSink, ends_first: threading.Event, make_result) -> int:
        """Leave the sink with as many lost messages as returned, connected again."""
        large = make_result(name="x" * 250_000)  # fills the system's buffers with few messages
        connected(sink)
        while sink.num_dropped == 0:
            sink.write(large, None)
        again = noticed(sink, "on_connect")
        ends_first.set()
        assert again.wait(GUARD_S)
        num_lost = sum(info.rc != 0 for info in sink._unsent)
        assert num_lost > 0
        return num_lost

    def test_the_next_frame_is_published(self, broker, ends_first, make_result):
        with MqttSink(f"mqtt://127.0.0.1:{broker.port}/t") as sink:
            num_lost = self.reconnected(sink, ends_first, make_result)
            assert sink.write(make_result(7), None) is True
            assert sink.num_dropped == num_lost + 1, "one as the buffers were full"
            broker.next("connect")
            broker.next("connect")
            assert broker.next("publish")[3]["frame"] == 7

    def test_close_says_goodbye(self, broker, ends_first, make_result):
        sink = MqttSink(f"mqtt://127.0.0.1:{broker.port}/t")
        num_lost = self.reconnected(sink, ends_first, make_result)
        sink.close()
        assert sink.num_dropped == num_lost + 1
        broker.next("connect")
        broker.next("connect")
        broker.next("disconnect")
        assert sink._client._thread is None


def test_paho_ends_though_the_goodbye_fails(broker, monkeypatch):
    def fail() -> None:
        raise OSError("no way out")

    sink = connected(MqttSink(f"mqtt://127.0.0.1:{broker.port}/t"))
    monkeypatch.setattr(sink._client, "disconnect", fail)
    broker_left = sink._client._thread
    with pytest.raises(OSError, match="no way out"):
        sink.close()
    assert not broker_left.is_alive()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
class TestTls:
    @pytest.fixture
    def secure(self, tmp_path) -> Iterator[Broker]:
        key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        broker = Broker(tls=context)
        yield broker
        broker.close()

    def test_publishes_to_a_broker_that_is_trusted(self, secure, tmp_path, make_result, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with connected(MqttSink(f"mqtts://127.0.0.1:{secure.port}/t")) as sink:
            sink.write(make_result(7), None)
        secure.next("connect")
        assert secure.next("publish")[3]["frame"] == 7

    # paho leaves the socket of a failed handshake to garbage collection.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_tells_nothing_to_one_that_is_not(self, secure, make_result):
        sink = MqttSink(f"mqtts://me:secret@127.0.0.1:{secure.port}/t")
        secure.next("no handshake")
        sink.write(make_result(), None)
        with pytest.raises(SinkError, match="was never reached, all 1 messages are lost"):
            sink.close()


def test_without_paho(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(
        MissingDependencyError, match=r"cannot publish to mqtt://h:1883/t: paho.*'fer-toolchain\[mqtt\]'"
    ):
        MqttSink("mqtt://me:secret@h/t")


class TestAddress:
    def test_ports(self):
        assert (parse_address("mqtt://h/t").port, parse_address("mqtts://h/t").port) == (1883, 8883)
        assert parse_address("mqtts://h:9/a/b")[:4] == ("h", 9, "a/b", True)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("http://me:secret@h/t", "not an MQTT address"),
            ("mqtt://me:secret@h:nine/t", "not an MQTT address"),
            ("mqtt:///t", "names no host"),
            ("mqtt://me:secret@h", "topic must not be empty"),
            ("mqtt://me:secret@h/a/+/b", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/a?b", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/a%23", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/%2B/a", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/a%0Ab", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/a%7Fb", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/a%C2%85b", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/a%FFb", "topic must not be empty or contain"),
            ("mqtt://me:secret@h/" + "a" * 65_536, "the topic has 65536 bytes, at most 65535 are allowed"),
        ],
    )
    def test_not_an_address(self, text, says):
        with pytest.raises(ConfigError, match=rf"cannot publish.*{says}.*Expected mqtt://.*Fix: --mqtt") as info:
            parse_address(text)
        assert "secret" not in str(info.value)


@pytest.mark.parametrize("password", ["p/w", "p#w", "p?w", "p@s/w", "1/2"])
def test_a_password_that_was_not_escaped(password):
    with pytest.raises(ConfigError) as info:
        parse_address(f"mqtt://Operator:{password}@host/topic")
    assert str(info.value) == (
        "cannot publish: an @ in the MQTT address comes after a /, # or ?, so it is unclear where the password "
        "ends and the host begins. Fix: in user, password, path and query write @ as %40, / as %2F, # as %23 and ? as "
        "%3F"
    )


def test_what_an_address_shows():
    assert str(parse_address("mqtts://me:secret@[::1]/rooms/1/faces")) == "mqtts://[::1]:8883/rooms/1/faces"
    assert str(parse_address("mqtt://h/9f86d081884c7d65/faces")) == "mqtt://h:1883/***/faces"


@pytest.mark.parametrize("address", ["mqtt://h/a/#", "mqtt://h/a#", "mqtt://h/a?", "mqtt://h/a?b=c", "mqtt://h/#"])
def test_a_mark_behind_the_topic_is_not_cut_off(address):
    with pytest.raises(ConfigError, match=r"cannot publish to h: the topic must not be empty or contain \+ # \?"):
        parse_address(address)


def test_events_of_other_programs(broker, tmp_path, caplog):
    log = EventLog(tmp_path / "events.csv")
    log.note_frame(0, 3.0, 0, is_live=False)
    with connected(MqttSink(f"mqtt://127.0.0.1:{broker.port}/room", events=log)) as sink:
        broker.next("connect")
        assert broker.next("subscribe") == ("subscribe", "room/events")
        for message, retain in (
            (b'{"label": "old", "state": "mark"}', True),  # of an earlier run
            (b"secret", False),
            (b'{"label": "film", "state": "mark"}', False),
        ):
            came = noticed(sink, "on_message")
            broker.send("room/events", message, retain=retain)
            assert came.wait(GUARD_S)
    log.close(is_incomplete=False)
    assert (tmp_path / "events.csv").read_text().splitlines()[1:] == ["3.0,4.0,film,mark,0,,"]
    assert f"mqtt://127.0.0.1:{broker.port}/room/events: not a JSON object. Fix: " in caplog.text
    assert "secret" not in caplog.text
