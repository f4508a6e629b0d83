"""Convert the FP32 graph to FP16 and INT8. Precision is a property of the graph; no runtime changes it later.

There are two INT8 graphs, because each runtime refuses the other's or runs it slowly:

- TENSORRT: signed and symmetric everywhere, float biases, Q/DQ only at the inputs of convolutions and on the skip input
  of residual additions, so that convolution, addition and ReLU fuse; everything else becomes FP16.
- CPU: unsigned asymmetric activations, signed weights, int32 biases, the layout for which ONNX Runtime has integer
  kernels on VNNI and ARM; everything else stays FP32.
"""

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxconverter_common.float16 import convert_float_to_float16
from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.quantize import quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from fer_deploy.errors import ExportError
from fer_deploy.export.graph.layers import layers_of, worth_quantizing
from fer_deploy.export.graph.pooling import with_global_pooling
from fer_deploy.export.int8.calibration import Calibration
from fer_deploy.export.int8.residual import additions_of_constants, keep_skip_only
from fer_deploy.export.int8.scheme import Scheme

_LAYER_OPS = ("Conv", "Gemm")
_OPERATORS = {Scheme.CPU: ("Add", "Mul", "Sigmoid", "GlobalAveragePool"), Scheme.TENSORRT: ("Add",)}
"""Operators without weights, which count as layers with their own names: all nodes of one are quantized, or none. A
float operator between two integer layers would convert the whole map twice."""
_TENSORRT_OPTIONS: dict[str, Any] = {
    "ActivationSymmetric": True,
    "WeightSymmetric": True,
    "QuantizeBias": False,
    "AddQDQPairToWeight": True,
    "OpTypesToExcludeOutputQuantization": ["Conv", "Add"],
    "QDQDisableWeightAdjustForInt32Bias": True,
    "QDQOpTypePerChannelSupportToAxis": {"Conv": 0},
}
_CPU_OPTIONS: dict[str, Any] = {"WeightSymmetric": True}
_LARGEST_HALF = float(np.finfo(np.float16).max)


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the FP32 graph with folded constants, inferred shapes and metadata, as the quantizer needs it."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        onnx.save_model(model, before)
        quant_pre_process(str(before), str(after))
        return with_global_pooling(onnx.load(after, load_external_data=False))


def quantizable(model: onnx.ModelProto, scheme: Scheme) -> tuple[str, ...]:
    """Return the names of everything that the scheme can quantize: layers in graph order, then operators."""
    layers = [
        layer.name
        for layer in layers_of(model)
        if (layer.node.op_type in _LAYER_OPS if scheme is Scheme.CPU else worth_quantizing(model, layer))
    ]
    constant = set(additions_of_constants(model))
    there = {node.op_type for node in model.graph.node if node.name not in constant}
    return (*layers, *(operator for operator in _OPERATORS[scheme] if operator in there))


def int8_graph(
    model: onnx.ModelProto, calibration: Calibration, scheme: Scheme, *, float_layers: Iterable[str] = ()
) -> onnx.ModelProto:
    """Return the Q/DQ graph; unquantized parts stay FP32.

    Args:
        model: result of `prepared`.
        calibration: ranges of this model's tensors.
        scheme: layout of the integers.
        float_layers: names of layers, or operators such as "Add", to leave in float.

    Raises:
        ExportError: a layer name is unknown, or ONNX Runtime cannot quantize the graph.
    """
    kept = set(float_layers)
    layers = {layer.name: layer for layer in layers_of(model)}
    if unknown := kept - layers.keys() - set(_OPERATORS[scheme]):
        raise ExportError(f"no layer {min(unknown)!r} in the graph. Fix: one of {', '.join(layers)}")
    chosen = [name for name in quantizable(model, scheme) if name not in kept]
    excluded = [layer.node.name for name, layer in layers.items() if name not in chosen]
    if not chosen:
        raise ExportError("no layer is left to quantize. Fix: a larger --max-accuracy-drop, or export fp16 instead")
    excluded += additions_of_constants(model)
    ops = [*_LAYER_OPS, "MaxPool", "Relu"] if scheme is Scheme.CPU else ["Conv"]
    ops += [operator for operator in _OPERATORS[scheme] if operator in chosen]
    quantized = _run_quantizer(model, calibration, scheme, ops, excluded)
    return keep_skip_only(quantized) if scheme is Scheme.TENSORRT else quantized


def _run_quantizer(
    model: onnx.ModelProto, calibration: Calibration, scheme: Scheme, ops: list[str], excluded: list[str]
) -> onnx.ModelProto:
    for_gpu = scheme is Scheme.TENSORRT
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        onnx.save_model(model, path)
        try:
            quantize_static(
                path,
                out,
                None,
                calibration_cache_path=calibration.cache,
                calibrate_method=calibration.ort_method,
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                nodes_to_exclude=excluded,
                op_types_to_quantize=ops,
                activation_type=QuantType.QInt8 if for_gpu else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options=_TENSORRT_OPTIONS if for_gpu else _CPU_OPTIONS,
            )
        except (ValueError, TypeError, KeyError, RuntimeError) as err:
            raise ExportError(f"ONNX Runtime cannot quantize the graph for {scheme}: {err}") from err
        return onnx.load(out, load_external_data=False)


def fp16_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph in FP16 between its uint8 input and its FP32 logits; Q/DQ nodes remain, with FP16 scales.

    Raises:
        ExportError: FP16 cannot represent a weight, or the graph is invalid.
    """
    _require_half(model)
    draft = onnx.ModelProto()
    draft.CopyFrom(model)
    for node in draft.graph.node:
        # The converter does not change casts, and a strongly typed network refuses Float with Half.
        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
                    attribute.i = onnx.TensorProto.FLOAT16
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # one line for each weight below 1e-7, which becomes 1e-7
            half: onnx.ModelProto = convert_float_to_float16(
                draft, max_finite_val=_LARGEST_HALF, keep_io_types=True, check_fp16_ready=False
            )
        onnx.checker.check_model(half, full_check=True)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as err:
        raise ExportError(f"the graph cannot be converted to FP16: {err}") from err
    return half


def _require_half(model: onnx.ModelProto) -> None:
    """Raise ExportError for weights that the converter would clip silently."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            largest = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0))
            if largest > _LARGEST_HALF:
                raise ExportError(
                    f"{tensor.name} has the value {largest:.3g}; FP16 ends at {_LARGEST_HALF:.0f}. "
                    "Fix: --variant fp32 --variant int8-cpu, or train with weight decay"
                )
