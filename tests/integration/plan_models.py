"""Small networks for the plan builder: with a residual and a squeeze-and-excitation block, in three types."""

import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.flavors import Flavor
from fer_deploy.spec import SPEC_KEY, InputSpec, ModelSpec, Precision

INPUT = InputSpec(name="images", height=48, width=48, channels=1, dtype="uint8", color="gray", mean=128.0, std=64.0)
NUM_CONVOLUTIONS = 5
RTX = BuildConfig(flavor=Flavor.TENSORRT_RTX, compute_capabilities=("8.6", "8.9", "12.0"))


def make_spec(precision: Precision | str) -> ModelSpec:
    return ModelSpec(
        spec_version=1, architecture="tiny", labels=("bright", "dark", "even"), input=INPUT, precision=precision
    )


def labelled(model: onnx.ModelProto, precision: Precision | str) -> onnx.ModelProto:
    """A copy that says it is of this precision, true or not."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    helper.set_model_props(copy, {SPEC_KEY: make_spec(precision).to_json()})
    return copy


def fp32_model() -> onnx.ModelProto:
    """uint8 images (N, 1, 48, 48) -> logits (N, 3): stem, a residual block with squeeze and excitation, classifier."""
    noise = np.random.default_rng(7)
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def constant(name: str, values) -> str:
        weights.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def node(op: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(op, inputs, [output], name=f"node_{output}", **attributes))
        return output

    def conv(data: str, name: str, shape: tuple[int, int, int], stride: int = 1) -> str:
        out_channels, in_channels, kernel = shape
        scale = (2 / (in_channels * kernel * kernel)) ** 0.5
        weight = constant(f"{name}.weight", noise.normal(0, scale, (out_channels, in_channels, kernel, kernel)))
        bias = constant(f"{name}.bias", noise.normal(0, 0.1, out_channels))
        pads = [kernel // 2] * 4
        return node("Conv", [data, weight, bias], name, strides=[stride] * 2, pads=pads, kernel_shape=[kernel] * 2)

    pixels = node("Cast", ["images"], "pixels", to=TensorProto.FLOAT)
    centered = node("Sub", [pixels, constant("mean", INPUT.mean)], "centered")
    scaled = node("Div", [centered, constant("std", INPUT.std)], "scaled")
    stem = node("Relu", [conv(scaled, "stem", (32, 1, 3), stride=2)], "stem_relu")
    first = node("Relu", [conv(stem, "first", (32, 32, 3))], "first_relu")
    second = conv(first, "second", (32, 32, 3))
    squeezed = node("GlobalAveragePool", [second], "squeezed")
    reduced = node("Relu", [conv(squeezed, "reduce", (16, 32, 1))], "reduce_relu")
    gate = node("Sigmoid", [conv(reduced, "expand", (32, 16, 1))], "gate")
    excited = node("Mul", [second, gate], "excited")
    joined = node("Relu", [node("Add", [excited, stem], "joined")], "joined_relu")
    flat = node("Flatten", [node("GlobalAveragePool", [joined], "pooled")], "flat", axis=1)
    classifier = constant("classifier.weight", noise.normal(0, 1, (3, 32)))
    node("Gemm", [flat, classifier, constant("classifier.bias", np.zeros(3))], "logits", transB=1)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, 48, 48])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return labelled(model, Precision.FP32)


def fp16_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """All weights and arithmetic in half; images stay uint8, logits float32."""
    from onnxconverter_common.float16 import convert_float_to_float16  # noqa: PLC0415 - slow, and warns

    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for node in copy.graph.node:
        if node.op_type == "Cast":  # left alone by the converter; the parser then finds Float minus Half
            node.attribute[0].i = TensorProto.FLOAT16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half = convert_float_to_float16(copy, keep_io_types=True, check_fp16_ready=False)
    return labelled(half, Precision.FP16)


def int8_model(model: onnx.ModelProto, folder: Path, *, names: list[str] | None = None) -> onnx.ModelProto:
    """Signed symmetric Q/DQ around convolutions, those called `names` or all; the scales come from noise."""
    from onnxruntime import quantization as q  # noqa: PLC0415 - slow

    class Noise(q.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([np.random.default_rng(3).integers(0, 256, (8, 1, 48, 48), dtype=np.uint8)])

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    source, target = folder / "source.onnx", folder / "int8.onnx"
    onnx.save(model, source)
    q.quantize_static(
        source,
        target,
        Noise(),
        quant_format=q.QuantFormat.QDQ,
        per_channel=True,
        op_types_to_quantize=["Conv"],
        nodes_to_quantize=names,
        activation_type=q.QuantType.QInt8,
        weight_type=q.QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return labelled(onnx.load(target, load_external_data=False), Precision.INT8)


def replaced(model: onnx.ModelProto, name: str, op_type: str, domain: str = "") -> onnx.ModelProto:
    """A copy whose node of this name has another operator."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    (node,) = [node for node in copy.graph.node if node.name == name]
    node.op_type, node.domain = op_type, domain
    del node.attribute[:]
    return copy
