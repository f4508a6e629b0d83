"""Find the quantizable layers of an ONNX graph, with their PyTorch names."""

import ast
from collections import defaultdict
from dataclasses import dataclass

import onnx

from fer_deploy.export.graph.source_traces import SCOPES_KEY

_PREFIX, _SUFFIX = "model.", ".weight"
_SMALLEST_CHANNELS = 16


@dataclass(frozen=True)
class Layer:
    """One Conv, Gemm or MatMul with weights.

    Attributes:
        name: name of the PyTorch module, such as "features.3.0".
        node: graph node; input 0 is the activation, input 1 the weight.
        shape: shape of the weight.
    """

    name: str
    node: onnx.NodeProto
    shape: tuple[int, ...]

    @property
    def num_weights(self) -> int:
        """Return the number of values in the weight."""
        size = 1
        for side in self.shape:
            size *= side
        return size


def layers_of(model: onnx.ModelProto) -> list[Layer]:
    """Return the layers in the order of the graph, also for a quantized graph."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    producers = producers_of(model)
    found = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            weight = _source(node.input[1], producers)
            if weight in shapes:
                found.append(Layer(_layer_name(weight, node), node, shapes[weight]))
    return found


def producers_of(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Map each tensor to the node that produces it."""
    return {output: node for node in model.graph.node for output in node.output}


def consumers_of(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Map each tensor to the nodes that read it."""
    found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            found[name].append(node)
    return found


def worth_quantizing(model: onnx.ModelProto, layer: Layer) -> bool:
    """Return whether INT8 can make a layer faster on a GPU; the graph must have inferred shapes.

    Quantization costs more time than it saves for convolutions with few channels, convolutions of a single pixel (the
    gates of squeeze-and-excitation) and the classifier. The first convolution has only one input channel, but its map
    is the largest, so it is quantized.
    """
    if layer.node.op_type != "Conv":
        return False
    outputs, inputs = layer.shape[0], layer.shape[1]
    is_first = inputs == 1
    return (
        not _is_one_pixel(model, layer.node.input[0])
        and outputs >= _SMALLEST_CHANNELS
        and (is_first or inputs >= _SMALLEST_CHANNELS)
    )


def _is_one_pixel(model: onnx.ModelProto, tensor: str) -> bool:
    for info in model.graph.value_info:
        if info.name == tensor:
            return [dim.dim_value for dim in info.type.tensor_type.shape.dim[2:]] == [1, 1]
    return False


def _source(tensor: str, producers: dict[str, onnx.NodeProto]) -> str:
    """Return the initializer of a weight, through DequantizeLinear, QuantizeLinear and Cast."""
    while tensor in producers:
        node = producers[tensor]
        if node.op_type not in ("DequantizeLinear", "QuantizeLinear", "Cast"):
            break
        tensor = node.input[0]
    return tensor


def _layer_name(weight: str, node: onnx.NodeProto) -> str:
    """Return the module's name from the weight's name or, if the exporter transposed the weight, the node's scopes."""
    stem, found, _ = weight.partition(_SUFFIX)
    if not found:
        scopes = next((prop.value for prop in node.metadata_props if prop.key == SCOPES_KEY), None)
        *_, stem, _ = ast.literal_eval(scopes) if scopes else (node.name, "")
    return stem.removeprefix(_PREFIX)
