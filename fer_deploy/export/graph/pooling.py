"""Replace means over whole maps by the operator that has an integer kernel."""

import numpy as np
import onnx
from onnx import numpy_helper

from fer_deploy.export.graph.layers import consumers_of

_WHOLE_MAP = ([2, 3], [-2, -1])


def with_global_pooling(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with GlobalAveragePool for each ReduceMean over height and width with kept dimensions.

    The exporter writes ReduceMean for both. ONNX Runtime computes only GlobalAveragePool in integers; for ReduceMean
    it converts the whole map to floats.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in found.graph.initializer}
    for node in found.graph.node:
        if node.op_type == "ReduceMean" and len(node.input) == 2 and node.input[1] in constants:
            axes = np.sort(numpy_helper.to_array(constants[node.input[1]])).tolist()
            keeps = next((a.i for a in node.attribute if a.name == "keepdims"), 1)
            if axes in _WHOLE_MAP and keeps:
                node.op_type = "GlobalAveragePool"
                del node.attribute[:], node.input[1:]
    read = consumers_of(found)
    for name, tensor in constants.items():
        if name not in read:
            found.graph.initializer.remove(tensor)
    return found
