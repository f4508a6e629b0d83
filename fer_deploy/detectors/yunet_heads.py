"""Merge YuNet's four heads at each stride (one to ten channels each) into one head of sixteen channels.

On a CPU ONNX Runtime always computes sixteen channels at a time, so the four heads cost as much as four of sixteen
channels. The merged head gives the same numbers, but its scores are logits and its outputs are not transposed.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.onnx_file.messages import FLOAT, INT, INTS, parse_model

HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
"""Channels of each head, in the order of the merged head."""
NUM_CHANNELS = sum(HEADS.values())
STRIDES = (8, 16, 32)
"""Pixels of the input between two anchors of a head."""
_SCORES = frozenset({"cls", "obj"})
_LAYERS = {"Transpose": {"perm": (0, 2, 3, 1)}, "Reshape": {}, "Sigmoid": {}}
_POINTWISE = {"kernel_shape": (1, 1), "pads": (0, 0, 0, 0), "strides": (1, 1), "dilations": (1, 1), "group": 1}
_DEPTHWISE = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1), "strides": (1, 1), "dilations": (1, 1)}


class _OtherGraph(ValueError):
    """The heads are not built as expected."""


class _Head(NamedTuple):
    features: str
    nodes: tuple[Any, ...]
    weights: tuple[NDArray[np.float32], ...]


def merge_heads(content: bytes) -> bytes:
    """Return an ONNX file with outputs head_S (1, 16, H/S, W/S) for each stride S: channels as in `HEADS`.

    If the heads are not built like the Zoo's (1x1 convolution, depthwise 3x3 convolution, transpose, sigmoid of the
    scores), the file is returned unchanged.
    """
    model = parse_model(content)
    if model is None:
        return content
    graph = _Graph(model.graph)
    try:
        found = {stride: graph.heads(stride) for stride in STRIDES}
        graph.remove(node for heads in found.values() for head in heads for node in head.nodes)
    except _OtherGraph:
        return content
    for stride, heads in found.items():
        graph.add_head(stride, heads)
    merged: bytes = model.SerializeToString()
    return merged


class _Graph:
    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._producers = {output: node for node in graph.node for output in node.output}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}

    def heads(self, stride: int) -> list[_Head]:
        """Return the heads of a stride in the order of `HEADS`; all have the same input."""
        heads = [self._head(name, stride) for name in HEADS]
        if len({head.features for head in heads}) != 1:
            raise _OtherGraph("they look at different features")
        return heads

    def _head(self, name: str, stride: int) -> _Head:
        """Return the nodes that compute one of the file's outputs, traced back from the output."""
        kinds = (*(["Sigmoid"] if name in _SCORES else []), "Reshape", "Transpose")
        nodes, tensor = [], f"{name}_{stride}"
        for kind in kinds:
            nodes.append(self._producer(tensor, kind, _LAYERS[kind]))
            tensor = nodes[-1].input[0]
        depthwise = self._producer(tensor, "Conv", _DEPTHWISE | {"group": HEADS[name]})
        pointwise = self._producer(depthwise.input[0], "Conv", _POINTWISE)
        names = (*pointwise.input[1:], *depthwise.input[1:])
        if len(names) != 4:
            raise _OtherGraph("a convolution without bias")
        weights = tuple(self._weight(weight) for weight in names)
        return _Head(pointwise.input[0], (*nodes, depthwise, pointwise), weights)

    def remove(self, nodes: Iterable[Any]) -> None:
        """Remove these nodes and all outputs of the graph."""
        gone = {output for node in nodes for output in node.output}
        kept = [node for node in self._graph.node if gone.isdisjoint(node.output)]
        if any(not gone.isdisjoint(node.input) for node in kept):
            raise _OtherGraph("something else needs them")
        if any(output.name not in gone for output in self._graph.output):
            raise _OtherGraph("it has other outputs")
        del self._graph.node[:], self._graph.output[:]
        self._graph.node.extend(kept)

    def add_head(self, stride: int, heads: list[_Head]) -> None:
        """Add the two convolutions of all heads of a stride, and their output."""
        inside, output = f"head_{stride}/inside", f"head_{stride}"
        names = [f"{output}/{i}" for i in range(4)]
        for name, parts in zip(names, zip(*(head.weights for head in heads), strict=True), strict=True):
            merged = np.concatenate(parts)
            self._graph.initializer.add(name=name, dims=merged.shape, data_type=FLOAT, raw_data=merged.tobytes())
        self._add_convolution([heads[0].features, *names[:2]], inside, _POINTWISE)
        self._add_convolution([inside, *names[2:]], output, _DEPTHWISE | {"group": NUM_CHANNELS})
        described = self._graph.output.add(name=output).type.tensor_type
        described.elem_type = FLOAT
        for size in (1, NUM_CHANNELS, None, None):
            described.shape.dim.add(dim_value=size)

    def _producer(self, tensor: str, kind: str, attributes: dict[str, Any]) -> Any:
        node = self._producers.get(tensor)
        if node is None or node.op_type != kind:
            raise _OtherGraph(f"no {kind} makes {tensor}")
        found = {a.name: tuple(a.ints) if a.ints else a.i for a in node.attribute}
        if found != attributes:
            raise _OtherGraph(f"{found} at {tensor}")
        return node

    def _weight(self, name: str) -> NDArray[np.float32]:
        tensor = self._tensors.get(name)
        if tensor is None or tensor.data_type != FLOAT or len(tensor.raw_data) != 4 * np.prod(tensor.dims, dtype=int):
            raise _OtherGraph(f"{name} is no weight in FP32")
        return np.frombuffer(tensor.raw_data, dtype="<f4").reshape(tuple(tensor.dims))

    def _add_convolution(self, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        node = self._graph.node.add(input=inputs, output=[output], name=output, op_type="Conv")
        for name, value in attributes.items():
            if isinstance(value, tuple):
                node.attribute.add(name=name, ints=value, type=INTS)
            else:
                node.attribute.add(name=name, i=value, type=INT)
