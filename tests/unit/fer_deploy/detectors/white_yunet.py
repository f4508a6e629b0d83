"""A YuNet that tests can predict: white squares are faces."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
STRIDES = (8, 16, 32)


def white_square_graph() -> onnx.GraphProto:
    """Return a graph whose anchors score 1 where their cell of stride x stride pixels is white; the box is the cell.

    Boxes are around the anchor's corner: to lie on the cell, the regressed center is half a stride away.
    """
    nodes, outputs, constants = [], [], []
    for head, size in HEADS.items():
        constants += [
            numpy_helper.from_array(np.full((size, 3, 1, 1), 1 / 765, dtype=np.float32), f"{head}_white"),
            numpy_helper.from_array(np.array([1, -1, size], dtype=np.int64), f"{head}_rows"),
            numpy_helper.from_array(np.zeros((size, 3, 1, 1), dtype=np.float32), f"{head}_nothing"),
            numpy_helper.from_array(np.array([0.5, 0.5, 0, 0, *[0.25] * 6][:size], dtype=np.float32), f"{head}_half"),
        ]
        for stride in STRIDES:
            name = f"{head}_{stride}"
            is_score = size == 1
            weights = [f"{head}_white"] if is_score else [f"{head}_nothing", f"{head}_half"]
            cell = [stride, stride]
            nodes += [
                helper.make_node("AveragePool", ["input"], [f"{name}_cells"], kernel_shape=cell, strides=cell),
                helper.make_node("Conv", [f"{name}_cells", *weights], [f"{name}_map"]),
                helper.make_node("Transpose", [f"{name}_map"], [f"{name}_last"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}_last", f"{head}_rows"], [name]),
            ]
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "anchors", size]))
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    return helper.make_graph(nodes, "white squares", [image], outputs, constants)


def with_fixed_size(model: onnx.ModelProto, side: int) -> onnx.ModelProto:
    """Return the model for pictures of side x side only."""
    shape = model.graph.input[0].type.tensor_type.shape
    shape.dim[2].dim_value = shape.dim[3].dim_value = side
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_value = (side // int(output.name.rpartition("_")[2])) ** 2
    return model
