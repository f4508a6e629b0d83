"""The outline against bytes that are spelled out; whole networks are in `tests/fuzz`."""

import re

import pytest

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines.onnx_file import outline as onnx_outline
from fer_deploy.engines.onnx_file.outline import fault_of_onnx


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


NODE = message(1, message(4, b"Relu"))
"""Field 1 of a graph: a node, whose field 4 is its operator."""
EXTERNAL_TENSOR = message(8, b"w") + varint(14 << 3) + b"\x01"


def graph(*parts: bytes) -> bytes:
    return message(7, b"".join(parts))


def test_bundled_model():
    assert fault_of_onnx(bundled_model().read_bytes()) is None


def test_one_node():
    assert fault_of_onnx(b"\x08\x0a" + graph(NODE)) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "has no graph"),
        (graph(), "has no graph"),
        (graph(NODE)[:-1], r"truncated, or not an ONNX model \(a part should have 8 bytes, but 7 are left\)"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "but 0 are left"),
        (b"\x08" + b"\xff" * 11, "its bytes are those of another format"),
        (b"\x08", "ends within a number"),
        (b"\x00\x00", "its bytes are those of another format"),
        (b"\x0b\x0c", "its bytes are those of another format"),
        (b"hello world", "truncated, or not an ONNX model"),
        (graph(NODE) + message(25, b""), "its own functions or training"),
        (graph(NODE) + message(20, b""), "its own functions or training"),
        (graph(NODE, message(15, b"")), "sparse weight"),
        (graph(message(1, message(5, message(22, b"")))), "sparse weight"),
        (graph(message(1, message(5, message(6, b"")))), "a graph inside"),
        (graph(message(1, message(5, message(11, b"")))), "a graph inside"),
        (graph(NODE, message(5, EXTERNAL_TENSOR)), "are in another file"),
        (graph(NODE, message(5, message(13, b""))), "are in another file"),
        (graph(message(1, message(5, message(5, EXTERNAL_TENSOR)))), "are in another file"),
        (graph(message(1, message(5, message(10, EXTERNAL_TENSOR)))), "are in another file"),
        (graph(NODE) + graph(message(5, EXTERNAL_TENSOR)), "are in another file"),  # protobuf merges the two
    ],
)
def test_faults(content, fault):
    assert re.search(fault, fault_of_onnx(content) or "none")


def test_number_of_nodes(monkeypatch):
    monkeypatch.setattr(onnx_outline, "MAX_NODES", 3)
    assert fault_of_onnx(graph(NODE * 3)) is None
    assert fault_of_onnx(graph(NODE * 4)) == "it has more than 3 nodes"
    assert fault_of_onnx(graph(NODE * 2) + graph(NODE * 2)) == "it has more than 3 nodes"


def test_number_of_fields(monkeypatch):
    """A file of 1 GB may hold 500 million."""
    monkeypatch.setattr(onnx_outline, "MAX_FIELDS", 100)
    assert "more than 100 fields" in (fault_of_onnx(b"\x08\x0a" * 101) or "")
