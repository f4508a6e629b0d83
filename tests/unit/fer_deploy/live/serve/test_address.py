import re
import socket

import pytest

from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.serve.address import Address, address_from_text, bound_address, is_loopback, listen, reachable_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", Address("127.0.0.1", 8080)),
        (":8080", Address("127.0.0.1", 8080)),
        ("localhost:8080", Address("127.0.0.1", 8080)),
        (" 0.0.0.0:0 ", Address("0.0.0.0", 0)),
        ("camera.local:65535", Address("camera.local", 65535)),
        ("[::1]:8080", Address("::1", 8080)),
    ],
)
def test_reads_what_people_write(text, expected):
    assert address_from_text(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":", "localhost", "localhost:", "8080:x", "1.2.3.4:-1", "1:65536", "1:²", "80 80"]
)
def test_refuses_what_is_no_port(text):
    with pytest.raises(
        ConfigError, match=rf"cannot serve at {re.escape(repr(text))}: .* is not a port, expected HOST:PORT"
    ):
        address_from_text(text)


@pytest.mark.parametrize("text", ["::1:8080", "fe80::1:80", "[localhost]:80", "[::1:80"])
def test_ipv6_stands_in_brackets(text):
    with pytest.raises(ConfigError, match=r"an IPv6 address needs brackets. Fix: --serve \[::1\]:8080"):
        address_from_text(text)


def test_written_as_it_was_read():
    assert str(Address("::1", 80)) == "[::1]:80"
    assert str(Address("127.0.0.1", 80)) == "127.0.0.1:80"


def test_the_system_chooses_port_0():
    with listen(Address("localhost", 0)) as listener:
        address = bound_address(listener)
        assert address.host in ("127.0.0.1", "::1")
        assert address.port > 0


def test_a_taken_port_is_an_error():
    with listen(Address("127.0.0.1", 0)) as listener:
        taken = bound_address(listener)
        with pytest.raises(SinkError, match=rf"cannot serve at {taken}: Address already in use. Fix: another --serve"):
            listen(taken)


def test_a_foreign_address_is_an_error():
    with pytest.raises(SinkError, match=r"cannot serve at 192\.0\.2\.1:0: Cannot assign requested address"):
        listen(Address("192.0.2.1", 0))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".com", "ex..ample"])
def test_an_unknown_name_is_an_error(host):
    with pytest.raises(SinkError, match=r"no such host .* Fix: --serve 8080 for this machine alone"):
        listen(Address(host, 0))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_what_only_this_machine_reaches(host, expected):
    assert is_loopback(host) is expected


def test_all_interfaces_are_shown_as_one_that_a_phone_can_type():
    host = reachable_host("0.0.0.0")
    assert host not in ("0.0.0.0", "")
    assert reachable_host("::") == host
    assert reachable_host("127.0.0.1") == "127.0.0.1"


def test_without_a_network_it_is_the_machines_name(monkeypatch):
    def refuse(*_):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "socket", lambda *_: _Unconnected(refuse))
    assert reachable_host("0.0.0.0") == socket.gethostname()


class _Unconnected:
    def __init__(self, connect) -> None:
        self.connect = connect

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        return None
