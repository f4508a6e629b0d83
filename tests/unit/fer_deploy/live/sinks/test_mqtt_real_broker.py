"""MQTT with a broker of others: `pip install amqtt`, or mosquitto. Skipped where neither is in PATH."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.sinks import MqttSink

GUARD_S = 20.0
AMQTT = """listeners: {{default: {{type: tcp, bind: "127.0.0.1:{port}"}}}}
plugins: {{amqtt.plugins.authentication.AnonymousAuthPlugin: {{allow_anonymous: true}}}}
"""
MOSQUITTO = "listener {port} 127.0.0.1\nallow_anonymous true\n"
PROGRAMS = {"mosquitto": MOSQUITTO, "amqtt": AMQTT}
FOUND = next(filter(shutil.which, PROGRAMS), None)


def wait_until(is_true) -> None:
    until = time.monotonic() + GUARD_S
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.02)


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    assert FOUND is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "broker.conf"
    config.write_text(PROGRAMS[FOUND].format(port=port))
    with subprocess.Popen([FOUND, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        try:
            wait_until(lambda: answers(port))
            yield port
        finally:
            broker.terminate()


@pytest.mark.skipif(FOUND is None, reason="neither mosquitto nor amqtt is installed")
def test_results_go_out_and_events_come_in(port, tmp_path, make_result):
    got: list[bytes] = []
    log = EventLog(tmp_path / "events.csv")
    log.note_frame(0, 3.0, 0, is_live=False)
    other = paho.Client(paho.CallbackAPIVersion.VERSION2)
    other.on_message = lambda client, data, message: got.append(message.payload)
    other.on_subscribe = lambda *about: got.append(b"subscribed")
    other.on_connect = lambda client, *about: client.subscribe("room")
    other.connect("127.0.0.1", port)
    other.loop_start()
    wait_until(lambda: got == [b"subscribed"])
    with MqttSink(f"mqtt://127.0.0.1:{port}/room", events=log) as sink:
        assert sink._is_connected.wait(GUARD_S)
        for index in range(3):
            sink.write(make_result(index, boxes=()), None)
        wait_until(lambda: len(got) == 4)
        other.publish("room/events", b'{"label": "film", "state": "start"}', qos=1)
        wait_until(lambda: "film" in log.open_events())
        log.note_frame(0, 5.5, 0, is_live=False)
        other.publish("room/events", b'{"label": "film", "state": "end"}', qos=1)
        wait_until(lambda: not log.open_events())
    other.disconnect()
    other.loop_stop()
    log.close(is_incomplete=False)
    assert [b'"frame":%d' % index in payload for index, payload in enumerate(got[1:])] == [True] * 3
    assert (tmp_path / "events.csv").read_text().splitlines()[1:] == ["3.0,5.5,film,event,0,,"]
