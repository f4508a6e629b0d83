"""From the FP32 graph to FP16 and INT8. Precision is a property of the graph: no runtime switches it later.

Two INT8 graphs, because each runtime refuses or is slow at the other's:

- TENSORRT: signed and symmetric throughout, float biases, Q/DQ at the inputs of convolutions and on the skip input of
  residual additions only, so that convolution, addition and ReLU fuse; everything else becomes FP16.
- CPU: unsigned asymmetric activations, signed weights, int32 biases, the layout for which ONNX Runtime has integer
  kernels on VNNI and ARM; everything else stays FP32.
"""

import tempfile
import warnings
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import onnx
from onnxconverter_common.float16 import convert_float_to_float16
from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.quantize import quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from fer_deploy.errors import ExportError
from fer_deploy.export.calibration import Calibration
from fer_deploy.export.layers import layers_of, worth_quantizing
from fer_deploy.export.residual import keep_skip_only

_CPU_OPS = ("Conv", "Gemm", "Add", "Mul", "MaxPool")
_TENSORRT_OPS = ("Conv", "Add")
_TENSORRT_OPTIONS: dict[str, Any] = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "QuantizeBias": False,
    "AddQDQPairToWeight": True,
    "OpTypesToExcludeOutputQuantization": list(_TENSORRT_OPS),
    "QDQDisableWeightAdjustForInt32Bias": True,
    "QDQOpTypePerChannelSupportToAxis": {"Conv": 0},
}
_CPU_OPTIONS: dict[str, Any] = {"WeightSymmetric": True}


class Scheme(StrEnum):
    """For whom an INT8 graph is made."""

    TENSORRT = "tensorrt"
    CPU = "cpu"


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the FP32 graph with constants folded, shapes inferred and metadata kept, as the quantizer wants it."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        onnx.save_model(model, before)
        quant_pre_process(str(before), str(after))
        return onnx.load(after, load_external_data=False)


def quantizable(model: onnx.ModelProto, scheme: Scheme) -> tuple[str, ...]:
    """Return the names of the layers that the scheme would quantize, in the order of the graph."""
    layers = layers_of(model)
    return tuple(layer.name for layer in layers if scheme is Scheme.CPU or worth_quantizing(model, layer))


def int8_graph(
    model: onnx.ModelProto, calibration: Calibration, scheme: Scheme, *, float_layers: Iterable[str] = ()
) -> onnx.ModelProto:
    """Return the Q/DQ graph; what is not quantized stays FP32.

    Args:
        model: from `prepared`.
        calibration: ranges of this model's tensors.
        scheme: layout of the integers.
        float_layers: layers to leave alone, by name.

    Raises:
        ExportError: an unknown layer name, or ONNX Runtime cannot quantize the graph.
    """
    kept = set(float_layers)
    layers = {layer.name: layer for layer in layers_of(model)}
    if unknown := kept - layers.keys():
        raise ExportError(f"no layer {min(unknown)!r} in the graph. Fix: one of {', '.join(layers)}")
    chosen = [name for name in quantizable(model, scheme) if name not in kept]
    excluded = [layer.node.name for name, layer in layers.items() if name not in chosen]
    if not chosen:
        raise ExportError("no layer is left to quantize. Fix: a larger --max-accuracy-drop, or export fp16 instead")
    quantized = _run_quantizer(model, calibration, scheme, excluded)
    return keep_skip_only(quantized) if scheme is Scheme.TENSORRT else quantized


def _run_quantizer(
    model: onnx.ModelProto, calibration: Calibration, scheme: Scheme, excluded: list[str]
) -> onnx.ModelProto:
    for_gpu = scheme is Scheme.TENSORRT
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        onnx.save_model(model, path)
        try:
            quantize_static(
                path, out, None, calibration_cache_path=calibration.cache, calibrate_method=calibration.ort_method,
                quant_format=QuantFormat.QDQ, per_channel=True, nodes_to_exclude=excluded,
                op_types_to_quantize=list(_TENSORRT_OPS if for_gpu else _CPU_OPS),
                activation_type=QuantType.QInt8 if for_gpu else QuantType.QUInt8, weight_type=QuantType.QInt8,
                extra_options=_TENSORRT_OPTIONS if for_gpu else _CPU_OPTIONS,
            )  # fmt: skip
        except (ValueError, TypeError, KeyError, RuntimeError) as err:
            raise ExportError(f"ONNX Runtime cannot quantize the graph for {scheme}: {err}") from err
        return onnx.load(out, load_external_data=False)


def fp16_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in FP16 between its uint8 input and its FP32 logits; Q/DQ nodes stay, with FP16 scales.

    Raises:
        ExportError: a weight that FP16 cannot hold, or an invalid graph.
    """
    draft = onnx.ModelProto()
    draft.CopyFrom(model)
    for node in draft.graph.node:
        # The converter leaves casts as they are, and a strongly typed network refuses Float beside Half.
        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                    attribute.i = onnx.TensorProto.FLOAT16
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a line for each weight below 1e-7, which becomes 1e-7
            half: onnx.ModelProto = convert_float_to_float16(draft, keep_io_types=True, check_fp16_ready=False)
        onnx.checker.check_model(half, full_check=True)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as err:
        raise ExportError(f"the graph cannot be converted to FP16: {err}") from err
    return half
