"""A YuNet with random weights whose heads are built as the Zoo's: what `merge_heads` looks for."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from unit.fer_deploy.detectors.white_yunet import HEADS, STRIDES

NUM_FEATURES = 8


def layered_yunet(seed: int = 0) -> onnx.ModelProto:
    """Return the model: the mean of each cell, some features of it, and four heads a stride."""
    random = np.random.default_rng(seed)
    nodes, outputs, weights = [], [], []

    def convolution(inputs: str, output: str, num_in: int, num_out: int, side: int, group: int) -> None:
        shape = (num_out, num_in // group, side, side)
        for name, values in {"weight": random.normal(0, 0.4, shape), "bias": random.normal(0, 0.4, num_out)}.items():
            weights.append(numpy_helper.from_array(values.astype(np.float32), f"{output}.{name}"))
        nodes.append(
            helper.make_node(
                "Conv",
                [inputs, f"{output}.weight", f"{output}.bias"],
                [output],
                name=output,
                dilations=[1, 1],
                group=group,
                kernel_shape=[side] * 2,
                pads=[side // 2] * 4,
                strides=[1, 1],
            )
        )

    for stride in STRIDES:
        cell = [stride, stride]
        nodes.append(helper.make_node("AveragePool", ["input"], [f"mean_{stride}"], kernel_shape=cell, strides=cell))
        convolution(f"mean_{stride}", f"features_{stride}", 3, NUM_FEATURES, 1, 1)
    for head, size in HEADS.items():
        weights.append(numpy_helper.from_array(np.array([1, -1, size], dtype=np.int64), f"{head}_rows"))
        for stride in STRIDES:
            name = f"{head}_{stride}"
            convolution(f"features_{stride}", f"{name}_in", NUM_FEATURES, size, 1, 1)
            convolution(f"{name}_in", f"{name}_map", size, size, 3, size)
            nodes.append(helper.make_node("Transpose", [f"{name}_map"], [f"{name}_last"], perm=[0, 2, 3, 1]))
            rows = f"{name}_rows" if size == 1 else name
            nodes.append(helper.make_node("Reshape", [f"{name}_last", f"{head}_rows"], [rows]))
            if size == 1:
                nodes.append(helper.make_node("Sigmoid", [rows], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, size]))
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    graph = helper.make_graph(nodes, "layered", [image], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
