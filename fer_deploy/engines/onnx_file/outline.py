"""Scan an ONNX file without an ONNX library, and refuse content that no exported network has.

ONNX Runtime is native code that trusts a file: it opens other files, runs endless loops, and expands sparse weights.
An exported network is one flat graph with its weights inside. Versions of ONNX Runtime differ in what they refuse; this
check comes before ONNX Runtime reads a byte. It uses field numbers only, not operators or types. Sources: onnx.proto of
ONNX 1.18, and protobuf's encoding (protobuf.dev/programming-guides/encoding).
"""

from collections.abc import Iterator

MAX_FIELDS = 5_000_000
"""Limit of fields read in one file, which takes seconds. A network of 20 MB has about ten thousand."""
MAX_NODES = 10_000
"""Limit of nodes. A ViT in INT8 has a few thousand. Optimization is quadratic: 20,000 nodes took 21 s of CPU time."""
EXPORT_AGAIN = "export it again with fer-deploy export"
"""Text after "Fix:"."""
COPY_AGAIN = f"copy the file again, or {EXPORT_AGAIN}"
"""Text after "Fix:" for a truncated or damaged file."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
_DAMAGED = "truncated, or not an ONNX model"
_OTHER_FORMAT = "its bytes are those of another format"
_NO_GRAPH = f"{_DAMAGED}: it has no graph"
_EXTERNAL = "its weights are in another file, which may be any file of this machine; expected all of them inside"


class _Damaged(ValueError):
    """The bytes are not valid protobuf."""


class _Reader:
    """Splits messages into fields and counts them."""

    def __init__(self) -> None:
        self._num_fields = 0

    def fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yield the number and value of each field: an integer, or the bytes of a text, an array or a message."""
        place, end = 0, len(message)
        while place < end:
            self._num_fields += 1
            if self._num_fields > MAX_FIELDS:
                raise _Damaged(f"more than {MAX_FIELDS:,} fields")
            key, place = _varint(message, place)
            kind = key & 7
            if key < 8:
                raise _Damaged(_OTHER_FORMAT)
            if kind == _VARINT:
                value, place = _varint(message, place)
                yield key >> 3, value
                continue
            if kind == _LENGTH:
                size, place = _varint(message, place)
            else:
                size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
            if size < 0:
                raise _Damaged(_OTHER_FORMAT)
            if size > end - place:
                raise _Damaged(f"a part should have {size:,} bytes, but {end - place:,} are left")
            yield key >> 3, message[place : place + size]
            place += size

    def messages(self, message: memoryview, *numbers: int) -> Iterator[tuple[int, memoryview]]:
        """Yield the fields with one of these numbers that may be messages."""
        for number, value in self.fields(message):
            if number in numbers and not isinstance(value, int):
                yield number, value


def fix_of(fault: str) -> str:
    """Return the text after "Fix:" for a fault from `fault_of_onnx`."""
    return COPY_AGAIN if fault.startswith(_DAMAGED) else EXPORT_AGAIN


def fault_of_onnx(content: bytes) -> str | None:
    """Return why `fer-deploy export` cannot have written a file, as text after "cannot load x:"; None: no fault found.

    Protobuf merges repeated fields, so all parts of a graph are checked.
    """
    reader, num_nodes = _Reader(), 0
    try:
        for number, part in reader.messages(memoryview(content), _MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS):
            if number != _MODEL_GRAPH:
                return "it defines its own functions or training; expected one flat graph"
            found, fault = _look_at_graph(reader, part)
            num_nodes += found
            if fault is None and num_nodes > MAX_NODES:
                fault = f"it has more than {MAX_NODES:,} nodes"
            if fault is not None:
                return fault
    except _Damaged as err:
        return f"{_DAMAGED} ({err})"
    return None if num_nodes else _NO_GRAPH


def _look_at_graph(reader: _Reader, graph: memoryview) -> tuple[int, str | None]:
    """Return the number of nodes up to the first fault, and this fault or None."""
    num_nodes = 0
    for number, part in reader.messages(graph, _GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE):
        if number == _GRAPH_SPARSE:
            return num_nodes, "it has a sparse weight, whose zeros take memory that its file does not"
        num_nodes += number == _GRAPH_NODE
        if num_nodes > MAX_NODES:
            return num_nodes, f"it has more than {MAX_NODES:,} nodes"
        fault = _fault_of_tensor(reader, part) if number == _GRAPH_INITIALIZER else _fault_of_node(reader, part)
        if fault is not None:
            return num_nodes, fault
    return num_nodes, None


def _fault_of_node(reader: _Reader, node: memoryview) -> str | None:
    wanted = (*_ATTRIBUTE_TENSORS, *_ATTRIBUTE_GRAPHS, *_ATTRIBUTE_SPARSE)
    for _, attribute in reader.messages(node, _NODE_ATTRIBUTE):
        for number, part in reader.messages(attribute, *wanted):
            if number in _ATTRIBUTE_GRAPHS:
                return "a node has a graph inside: a loop or branch, which may run without end; expected one flat graph"
            if number in _ATTRIBUTE_SPARSE:
                return "it has a sparse weight, whose zeros take memory that its file does not"
            if (fault := _fault_of_tensor(reader, part)) is not None:
                return fault
    return None


def _fault_of_tensor(reader: _Reader, tensor: memoryview) -> str | None:
    for number, value in reader.fields(tensor):
        if number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0):
            return _EXTERNAL
    return None


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number that starts at `place`, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise _Damaged("it ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _Damaged(_OTHER_FORMAT)
