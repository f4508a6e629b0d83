"""The INT8 and FP16 graphs: the types that TensorRT and the CPU's integer kernels ask for, and nothing lost."""

import dataclasses

import numpy as np
import onnx
import pytest
from integration.export_models import GATES, LAYERS, patterns
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.errors import ExportError
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.graph.layers import consumers_of, layers_of, producers_of
from fer_deploy.export.int8.calibration import Method, calibrate
from fer_deploy.export.int8.quantize import fp16_graph, int8_graph, quantizable
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.verify.exact_engine import ExactEngine
from fer_deploy.spec import OUTPUT_NAME

IMAGES = patterns(70, seed=8)[0][:, None]
QUANTIZED = tuple(name for name in LAYERS if name not in (*GATES, "classifier"))
"""By the scheme for TensorRT."""


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def values_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def source_op(model: onnx.ModelProto, tensor: str) -> str | None:
    node = producers_of(model).get(tensor)
    return None if node is None else node.op_type


def logits_of(model: onnx.ModelProto, spec) -> np.ndarray:
    with ExactEngine(model, spec) as engine:
        return engine.infer(IMAGES)


@pytest.fixture(scope="module")
def for_gpu(small_graph, small_calibration):
    return int8_graph(small_graph, small_calibration, Scheme.TENSORRT)


@pytest.fixture(scope="module")
def for_cpu(small_graph, small_calibration):
    return int8_graph(small_graph, small_calibration, Scheme.CPU)


@pytest.fixture(scope="module")
def graphs(small_graph, for_gpu, for_cpu):
    """What is shipped, by variant."""
    return {"fp32": small_graph, "fp16": fp16_graph(small_graph), "int8": fp16_graph(for_gpu), "int8-cpu": for_cpu}


class TestForTensorrt:
    def test_zero_points_are_signed_and_zero(self, for_gpu):
        values = values_of(for_gpu)
        pairs = [node for node in for_gpu.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
        assert len(pairs) >= 2 * 2 * len(QUANTIZED)
        for node in pairs:
            zero = values[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()

    def test_exactly_the_chosen_layers_read_rounded_inputs(self, for_gpu):
        rounded = {
            layer.name
            for layer in layers_of(for_gpu)
            if [source_op(for_gpu, name) for name in layer.node.input[:2]] == ["DequantizeLinear"] * 2
        }
        assert rounded == set(QUANTIZED)
        for layer in layers_of(for_gpu):
            if layer.name not in QUANTIZED:
                assert "DequantizeLinear" not in [source_op(for_gpu, name) for name in layer.node.input]

    def test_biases_stay_float(self, for_gpu):
        types = types_of(for_gpu)
        assert TensorProto.INT32 not in types.values()
        for layer in layers_of(for_gpu):
            assert types[layer.node.input[2]] == TensorProto.FLOAT

    def test_a_scale_for_each_output_channel(self, small_graph, for_gpu):
        before, after = values_of(small_graph), values_of(for_gpu)
        floats = {layer.name: before[layer.node.input[1]] for layer in layers_of(small_graph)}
        for layer in layers_of(for_gpu):
            if layer.name in QUANTIZED:
                node = producers_of(for_gpu)[layer.node.input[1]]
                wanted = np.abs(floats[layer.name]).reshape(layer.shape[0], -1).max(axis=1) / 127
                np.testing.assert_allclose(after[node.input[1]], wanted, rtol=1e-5)
                assert {a.name: a.i for a in node.attribute}["axis"] == 0

    def test_constants_of_additions_stay_float(self, small_graph, small_spec, tmp_path):
        """A bias that is added by a node of its own is no residual: no Q/DQ belongs there."""
        model = onnx.ModelProto()
        model.CopyFrom(small_graph)
        model.graph.initializer.append(numpy_helper.from_array(np.full((1, 16, 1, 1), 0.1, dtype=np.float32), "added"))
        nodes = list(model.graph.node)
        relu = next(node for node in nodes if node.op_type == "Relu")
        for node in consumers_of(model)[relu.output[0]]:
            node.input[list(node.input).index(relu.output[0])] = "with_constant"
        extra = helper.make_node("Add", [relu.output[0], "added"], ["with_constant"], "extra")
        model.graph.node.insert(nodes.index(relu) + 1, extra)
        faces = CalibrationFaces(IMAGES[:8], "patterns", 0)
        ranges = calibrate(model, small_spec, faces, method=Method.MAX, cache=tmp_path / "r.json")
        found = int8_graph(model, ranges, Scheme.TENSORRT)
        (extra,) = [node for node in found.graph.node if node.name == "extra"]
        assert [source_op(found, name) for name in extra.input] == ["Relu", None]


class TestForCpus:
    def test_unsigned_activations_and_signed_weights(self, for_cpu):
        values = values_of(for_cpu)
        activations = [node for node in for_cpu.graph.node if node.op_type == "QuantizeLinear"]
        assert {values[node.input[2]].dtype for node in activations} == {np.dtype(np.uint8)}
        weights = [producers_of(for_cpu)[layer.node.input[1]] for layer in layers_of(for_cpu)]
        for node in weights:
            assert values[node.input[0]].dtype == np.int8
            assert not values[node.input[2]].any()
        assert len(weights) == len(LAYERS)

    def test_biases_are_int32(self, for_cpu):
        values = values_of(for_cpu)
        for layer in layers_of(for_cpu):
            bias = producers_of(for_cpu)[layer.node.input[2]]
            assert values[bias.input[0]].dtype == np.int32

    def test_a_scale_for_each_output_channel_of_a_convolution(self, for_cpu):
        values = values_of(for_cpu)
        sizes = {x.name: values[producers_of(for_cpu)[x.node.input[1]].input[1]].size for x in layers_of(for_cpu)}
        assert (sizes["stem.0"], sizes["blocks.1.branch.0"], sizes["blocks.1.shortcut.0"]) == (16, 32, 32)

    def test_gates_and_head_are_quantized_too(self, for_cpu):
        rounded = {x.name for x in layers_of(for_cpu) if source_op(for_cpu, x.node.input[0]) == "DequantizeLinear"}
        assert rounded == set(LAYERS)


class TestAllVariants:
    @pytest.mark.parametrize("variant", ["fp32", "fp16", "int8", "int8-cpu"])
    def test_uint8_in_and_fp32_out(self, graphs, variant):
        model = graphs[variant]
        onnx.checker.check_model(model, full_check=True)
        (images,), (logits,) = model.graph.input, model.graph.output
        assert images.type.tensor_type.elem_type == TensorProto.UINT8
        assert logits.type.tensor_type.elem_type == TensorProto.FLOAT
        assert logits.name == OUTPUT_NAME
        batch = images.type.tensor_type.shape.dim[0]
        assert batch.dim_param
        assert not batch.dim_value

    @pytest.mark.parametrize(("variant", "largest"), [("fp16", 0.05), ("int8", 1.0), ("int8-cpu", 2.5)])
    def test_logits_stay_near(self, graphs, small_spec, variant, largest):
        wanted = logits_of(graphs["fp32"], small_spec)
        found = logits_of(graphs[variant], small_spec)
        assert np.abs(wanted).max() > 8
        assert 0 < np.abs(found - wanted).max() < largest
        assert (found.argmax(1) == wanted.argmax(1)).all()


class TestFloatLayers:
    @pytest.mark.parametrize("scheme", Scheme)
    def test_a_layer_that_is_given_back(self, small_graph, small_calibration, scheme):
        found = int8_graph(small_graph, small_calibration, scheme, float_layers=["blocks.0.branch.3"])
        layers = {layer.name: layer.node for layer in layers_of(found)}
        weights = {name: source_op(found, node.input[1]) for name, node in layers.items()}
        assert weights.pop("blocks.0.branch.3") is None
        chosen = set(quantizable(small_graph, scheme)).intersection(LAYERS) - {"blocks.0.branch.3"}
        assert {name for name, op in weights.items() if op == "DequantizeLinear"} == chosen

    @pytest.mark.parametrize("scheme", Scheme)
    def test_additions_that_are_given_back(self, small_graph, small_calibration, scheme):
        """An operator without weights stands for all its nodes; what a convolution reads stays rounded."""
        found = int8_graph(small_graph, small_calibration, scheme, float_layers=["Add"])
        _, second = [node for node in found.graph.node if node.op_type == "Add"]
        sources = [source_op(found, name) for name in second.input]
        # On a CPU the gate's and the pool's own pairs stand around an addition; on a GPU nothing is left here.
        assert scheme is Scheme.CPU or sources == ["Conv", "Conv"]
        rounded = [x for x in layers_of(found) if source_op(found, x.node.input[1]) == "DequantizeLinear"]
        assert len(rounded) == len(set(quantizable(small_graph, scheme)).intersection(LAYERS))

    def test_unknown(self, small_graph, small_calibration):
        with pytest.raises(ExportError, match=r"no layer 'stem' in the graph\. Fix: one of stem\.0, blocks\.0"):
            int8_graph(small_graph, small_calibration, Scheme.CPU, float_layers=["stem"])

    @pytest.mark.parametrize("scheme", Scheme)
    def test_all(self, small_graph, small_calibration, scheme):
        everything = {*LAYERS, *quantizable(small_graph, scheme)}
        with pytest.raises(ExportError, match="no layer is left to quantize"):
            int8_graph(small_graph, small_calibration, scheme, float_layers=everything)

    def test_ranges_that_are_not_there(self, small_graph, small_calibration, tmp_path):
        (tmp_path / "empty.json").write_text("{}")
        with pytest.raises(ExportError, match="ONNX Runtime cannot quantize the graph for cpu"):
            int8_graph(small_graph, dataclasses.replace(small_calibration, cache=tmp_path / "empty.json"), Scheme.CPU)


class TestHalf:
    @pytest.mark.parametrize("variant", ["fp16", "int8"])
    def test_no_float32_is_left(self, graphs, variant):
        assert TensorProto.FLOAT not in types_of(graphs[variant]).values()
        assert TensorProto.FLOAT16 in types_of(graphs[variant]).values()

    @pytest.mark.parametrize("variant", ["fp16", "int8"])
    def test_only_the_logits_are_cast_to_float32(self, graphs, variant):
        """The trap: a converter that leaves the cast of the pixels gives Float minus Half, which TensorRT refuses."""
        casts = {n.output[0]: n.attribute[0].i for n in graphs[variant].graph.node if n.op_type == "Cast"}
        assert casts.pop(OUTPUT_NAME) == TensorProto.FLOAT
        assert set(casts.values()) == {TensorProto.FLOAT16}

    def test_scales_are_half(self, graphs):
        types = types_of(graphs["int8"])
        scales = {types[n.input[1]] for n in graphs["int8"].graph.node if n.op_type.endswith("quantizeLinear")}
        scales |= {types[n.input[1]] for n in graphs["int8"].graph.node if n.op_type == "QuantizeLinear"}
        assert scales == {TensorProto.FLOAT16}

    def test_the_given_graph_is_not_changed(self, small_graph):
        before = small_graph.SerializeToString()
        fp16_graph(small_graph)
        assert small_graph.SerializeToString() == before


def with_weight(model: onnx.ModelProto, value: float) -> tuple[onnx.ModelProto, str]:
    """A copy with this value as the first one of the stem's weight, and the weight's name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    name = next(layer.node.input[1] for layer in layers_of(copy) if layer.name == "stem.0")
    (tensor,) = [tensor for tensor in copy.graph.initializer if tensor.name == name]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    return copy, name


class TestRangeOfHalf:
    @pytest.mark.parametrize("value", [65504.0, -65504.0, 20000.0, -20000.0])
    def test_what_fits_is_kept(self, small_graph, value):
        """The converter, left to its defaults, clips at 10000 with a warning."""
        model, name = with_weight(small_graph, value)
        assert values_of(fp16_graph(model))[name].flat[0] == value

    @pytest.mark.parametrize("value", [65600.0, -1e6, np.inf])
    def test_what_does_not_fit_is_refused(self, small_graph, value):
        model, name = with_weight(small_graph, value)
        with pytest.raises(ExportError, match=rf"{name} has the value .*; FP16 ends at 65504\. Fix: --variant fp32"):
            fp16_graph(model)

    def test_weights_of_an_int8_graph_too(self, small_graph, small_calibration):
        model, name = with_weight(small_graph, 1e6)
        with pytest.raises(ExportError, match=f"{name} has the value 1e.06"):
            fp16_graph(int8_graph(model, small_calibration, Scheme.TENSORRT))


def test_prepared_computes_the_same(small_onnx, small_graph, small_spec):
    """Also where it writes a mean over a whole map as another operator."""
    operators = [node.op_type for node in small_graph.graph.node]
    assert (operators.count("GlobalAveragePool"), operators.count("ReduceMean")) == (2, 0)
    wanted = logits_of(onnx.load(small_onnx), small_spec)
    np.testing.assert_allclose(logits_of(small_graph, small_spec), wanted, atol=1e-4)


def test_prepared_keeps_metadata_and_infers_shapes(small_onnx, small_graph):
    before = onnx.load(small_onnx)
    after = {prop.key: prop.value for prop in small_graph.metadata_props}
    assert after.items() >= {prop.key: prop.value for prop in before.metadata_props}.items()
    known = {info.name for info in small_graph.graph.value_info}
    assert all(layer.node.input[0] in known for layer in layers_of(small_graph))
