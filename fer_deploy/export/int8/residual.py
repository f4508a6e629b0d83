"""Quantize residual additions of a Q/DQ graph for TensorRT on the skip input only, not on the branch.

Convolution, addition and ReLU then become one kernel: the branch's result is added before it is rounded.
"""

import onnx

from fer_deploy.export.graph.layers import consumers_of, producers_of


def keep_skip_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph without the Q/DQ pair on the longer input of each Add; a pair that a layer reads too remains."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    depths = _depths(found)
    producers = producers_of(found)
    for node in found.graph.node:
        if node.op_type == "Add" and len(node.input) == 2:
            pairs = [producers.get(name) for name in node.input]
            if all(pair is not None and pair.op_type == "DequantizeLinear" for pair in pairs):
                branch = max((0, 1), key=lambda i: depths[node.input[i]])
                pair = pairs[branch]
                assert pair is not None
                node.input[branch] = producers[pair.input[0]].input[0]
    _drop_unread(found)
    return found


def additions_of_constants(model: onnx.ModelProto) -> list[str]:
    """Return the names of Add nodes with a constant input, such as a bias."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type == "Add" and constants.intersection(node.input)]


def _depths(model: onnx.ModelProto) -> dict[str, int]:
    """Map each tensor to the number of nodes on the longest path from an input; nodes must be in order."""
    depths: dict[str, int] = {}
    for node in model.graph.node:
        depth = 1 + max((depths.get(name, 0) for name in node.input), default=0)
        depths.update(dict.fromkeys(node.output, depth))
    return depths


def _drop_unread(model: onnx.ModelProto) -> None:
    outputs = {value.name for value in model.graph.output}
    while True:
        read = consumers_of(model)
        unread = [n for n in model.graph.node if not any(name in read or name in outputs for name in n.output)]
        if not unread:
            break
        for node in unread:
            model.graph.node.remove(node)
    read = consumers_of(model)
    for tensor in [t for t in model.graph.initializer if t.name not in read]:
        model.graph.initializer.remove(tensor)
