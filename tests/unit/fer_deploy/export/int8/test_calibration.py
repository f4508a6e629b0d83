"""Ranges: of real faces only, reproducible, by the method that was asked for; those learned in training win."""

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from integration.export_models import SmallNet, patterns
from onnx import TensorProto, helper, numpy_helper

from fer_deploy.errors import ExportError
from fer_deploy.export.faces import CalibrationFaces
from fer_deploy.export.graph.layers import layers_of, producers_of
from fer_deploy.export.int8.calibration import Method, calibrate
from fer_deploy.export.int8.quantize import int8_graph
from fer_deploy.export.int8.scheme import Scheme
from fer_train.training.qat import activation_ranges, prepare_qat


def faces(count: int = 16, seed: int = 2) -> CalibrationFaces:
    return CalibrationFaces(patterns(count, seed)[0][:, None], "patterns", seed)


def ranges_of(path) -> dict[str, tuple[float, float]]:
    """Read ONNX Runtime's file: tensor -> (lowest, highest)."""
    text = json.loads(path.read_text())
    found = {}
    for name, entry in text["data"].items():
        low, high = (entry["kwargs"][key] if "kwargs" in entry else entry[key] for key in ("lowest", "highest"))
        found[name] = tuple(
            float(np.ravel(side["data"] if isinstance(side, dict) else side)[0]) for side in (low, high)
        )
    return found


@pytest.fixture
def measure(small_graph, small_spec, tmp_path):
    def run(given: CalibrationFaces | None = None, *, method=Method.MAX, spec=None, model=None):
        path = tmp_path / "ranges.json"
        found = calibrate(model or small_graph, spec or small_spec, given or faces(), method=method, cache=path)
        return found, ranges_of(path)

    return run


class TestFaces:
    def test_largest_values_of_all_chunks(self, measure, small_graph, small_spec):
        """More faces than are in memory at a time; the brightest is the last."""
        images = np.full((70, 1, 48, 48), 100, dtype=np.uint8)
        images[-1] = 255
        _, found = measure(CalibrationFaces(images, "flat", 0))
        stem = next(layer.node.input[0] for layer in layers_of(small_graph) if layer.name == "stem.0")
        scaled = [(level - small_spec.input.mean) / small_spec.input.std for level in (100, 255)]
        assert found[stem] == pytest.approx(tuple(scaled), abs=1e-5)

    @pytest.mark.parametrize("method", [Method.MAX, Method.PERCENTILE])
    @pytest.mark.parametrize("count", [1, 20, 67])
    def test_any_number(self, measure, method, count):
        """Also one that no batch size divides."""
        found, ranges = measure(faces(count), method=method)
        assert found.num_faces == count
        assert all(low <= high for low, high in ranges.values())

    def test_record(self, measure):
        found, _ = measure()
        record = found.record()
        assert json.loads(json.dumps(record)) == record
        assert {k: record[k] for k in ("method", "num_faces", "source", "seed", "learned")} == {
            "method": "max",
            "num_faces": 16,
            "source": "patterns",
            "seed": 2,
            "learned": [],
        }
        assert "cache" not in record

    def test_the_same_faces_give_the_same_record_and_ranges(self, measure):
        (first, first_ranges), (again, again_ranges) = measure(), measure()
        assert (first.record(), first_ranges) == (again.record(), again_ranges)

    def test_other_faces_give_another_digest(self, measure):
        digests = {measure(faces(seed=seed))[0].faces_sha256 for seed in (2, 3)}
        reordered = CalibrationFaces(faces().images_nchw[::-1].copy(), "patterns", 2)
        assert len(digests | {measure(reordered)[0].faces_sha256}) == 3

    def test_none(self, measure):
        with pytest.raises(ExportError, match=r"no faces to calibrate INT8 with; random data .*Fix: --data"):
            measure(CalibrationFaces(np.empty((0, 1, 48, 48), dtype=np.uint8), "nobody", 0))


def heavy_tailed() -> tuple[onnx.ModelProto, CalibrationFaces]:
    """x^4 of dark pixels with a bright one: one value in 300,000 is hundreds of times larger than the rest."""
    weight = numpy_helper.from_array(np.ones((16, 1, 1, 1), dtype=np.float32), "model.a.weight")
    constants = [
        weight,
        numpy_helper.from_array(np.float32(64), "unit"),
        numpy_helper.from_array(np.float32(4), "power"),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "unit"], ["d"]),
        helper.make_node("Pow", ["d", "power"], ["x"]),
        helper.make_node("Conv", ["x", weight.name], ["logits"], "node_a"),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, 48, 48])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 16, 48, 48])
    graph = helper.make_graph(nodes, "g", [images], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    pixels = np.random.default_rng(0).integers(0, 65, (128, 1, 48, 48)).astype(np.uint8)
    pixels[0, 0, 0, 0] = 255
    return model, CalibrationFaces(pixels, "dark", 0)


def ordinary(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(40, 50, (count, 1, 48, 48)).astype(np.uint8)


class TestOutliers:
    """A placeholder among the faces: its peak is many times that of all others."""

    def test_is_left_out_of_every_method(self, measure):
        model, _ = heavy_tailed()
        images = ordinary(250)
        images[7] = 255
        for method in Method:
            found, ranges = measure(CalibrationFaces(images, "dim", 0), method=method, model=model)
            assert (found.num_faces, found.num_left_out) == (249, 1)
            assert ranges["x"][1] <= (49 / 64) ** 4 * 1.01
        _, without = measure(CalibrationFaces(np.delete(images, 7, axis=0), "dim", 0), method=method, model=model)
        assert ranges == without

    @pytest.mark.parametrize(("count", "value"), [(250, 55), (60, 255)])
    def test_stays_where_it_is_none(self, measure, count, value):
        """Up to twice the others' peaks; and among few faces nothing can be told."""
        model, _ = heavy_tailed()
        images = ordinary(count)
        images[7] = value
        found, ranges = measure(CalibrationFaces(images, "dim", 0), model=model)
        assert (found.num_faces, found.num_left_out) == (count, 0)
        assert ranges["x"][1] == pytest.approx((value / 64) ** 4, rel=1e-3)


class TestMethods:
    def test_ranges_shrink_on_heavy_tails(self, measure):
        model, dark = heavy_tailed()
        highest = {method: measure(dark, method=method, model=model)[1]["x"][1] for method in Method}
        assert highest[Method.MAX] == pytest.approx((255 / 64) ** 4, rel=1e-5)
        assert 0.9 <= highest[Method.PERCENTILE] < 0.1 * highest[Method.MAX]
        assert 0.9 <= highest[Method.ENTROPY] < 0.9 * highest[Method.MAX]

    @pytest.mark.parametrize("method", [Method.MAX, Method.PERCENTILE])
    def test_the_graph_has_the_scale_of_the_range(self, measure, small_graph, method):
        found, ranges = measure(method=method)
        for name, scale in activation_scales(int8_graph(small_graph, found, Scheme.TENSORRT)).items():
            tensor = next(layer.node.input[0] for layer in layers_of(small_graph) if layer.name == name)
            assert scale == pytest.approx(max(map(abs, ranges[tensor])) / 127, rel=1e-5)

    def test_percentile_cuts_this_network(self, measure):
        many = faces(128)
        _, widest = measure(many, method=Method.MAX)
        _, cut = measure(many, method=Method.PERCENTILE)
        assert all(cut[name][1] <= widest[name][1] * 1.0001 for name in widest)
        assert any(cut[name][1] < 0.99 * widest[name][1] for name in widest)


@pytest.mark.parametrize("method", [Method.MAX, Method.PERCENTILE])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(measure, small_graph, method, value):
    model = onnx.ModelProto()
    model.CopyFrom(small_graph)
    name = next(layer.node.input[1] for layer in layers_of(model) if layer.name == "blocks.1.branch.3")
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = value
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    with pytest.raises(ExportError, match=r"calibration .*Fix: train or release again"):
        measure(method=method, model=model)


def activation_scales(model: onnx.ModelProto) -> dict[str, float]:
    """Map each layer with a rounded input to the scale of that input."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    producers, found = producers_of(model), {}
    for layer in layers_of(model):
        node = producers.get(layer.node.input[0])
        if node is not None and node.op_type == "DequantizeLinear":
            found[layer.name] = float(values[node.input[1]])
    return found


def _input_of(graph: onnx.ModelProto, name: str) -> str:
    return next(layer.node.input[0] for layer in layers_of(graph) if layer.name == name)


def logits_of(graph: onnx.ModelProto, images_nchw: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # integer sums saturate without VNNI
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images_nchw})[0]


@pytest.fixture(scope="module")
def learned() -> dict[str, float]:
    """Ranges as quantization-aware training leaves them, by the names that it uses."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SmallNet()
        prepare_qat(model)
        model.train()(torch.randn(8, 1, 48, 48))
    return activation_ranges(model)


class TestLearned:
    def test_every_layer_of_training_is_found(self, measure, small_spec, small_graph, learned):
        found, _ = measure(spec=small_spec.model_copy(update={"quantization": learned}))
        assert set(found.learned) == set(learned) == {layer.name for layer in layers_of(small_graph)}

    def test_exactly_the_named_layers(self, measure, small_graph, small_spec):
        """Two layers are named; the ranges of all other tensors stay as measured."""
        plain, measured = measure()
        before = activation_scales(int8_graph(small_graph, plain, Scheme.TENSORRT))
        named = {"blocks.0.branch.3": 0.75, "blocks.1.branch.3": 12.5}
        found, ranges = measure(spec=small_spec.model_copy(update={"quantization": named}))
        assert found.record()["learned"] == list(named)
        after = activation_scales(int8_graph(small_graph, found, Scheme.TENSORRT))
        assert {name: after.pop(name) for name in named} == pytest.approx({n: r / 127 for n, r in named.items()})
        assert after == {name: scale for name, scale in before.items() if name not in named}
        changed = {name for name in ranges if ranges[name] != measured[name]}
        assert changed == {x.node.input[0] for x in layers_of(small_graph) if x.name in named}

    @pytest.mark.parametrize("wider", ["blocks.1.branch.0", "blocks.1.shortcut.0"])
    def test_two_layers_that_read_one_tensor(self, measure, small_graph, small_spec, wider):
        """It has one scale: the wider, so that neither layer's values are clipped."""
        named = {"blocks.1.branch.0": 2.0, "blocks.1.shortcut.0": 2.0} | {wider: 3.0}
        found, _ = measure(spec=small_spec.model_copy(update={"quantization": named}))
        scales = activation_scales(int8_graph(small_graph, found, Scheme.TENSORRT))
        assert {name: scales[name] for name in named} == pytest.approx(dict.fromkeys(named, 3 / 127))
        assert set(found.learned) == set(named)

    def test_relus_still_cut_off_in_the_graph_for_cpus(self, measure, small_graph, small_spec):
        """That graph drops them; a range of -x to x, as training has it, would let negative values pass."""
        _, measured = measure()
        named = {"blocks.0.branch.3": 1.5 * measured[_input_of(small_graph, "blocks.0.branch.3")][1]}
        found, ranges = measure(spec=small_spec.model_copy(update={"quantization": named}))
        assert ranges[_input_of(small_graph, "blocks.0.branch.3")] == (0, pytest.approx(*named.values()))
        images = faces(8, seed=5).images_nchw
        wanted, got = (logits_of(graph, images) for graph in (small_graph, int8_graph(small_graph, found, Scheme.CPU)))
        assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()

    def test_a_layer_that_the_graph_lacks(self, measure, small_spec):
        spec = small_spec.model_copy(update={"quantization": {"stem.0": 1.0, "stem.7": 1.0}})
        with pytest.raises(ExportError, match=r"learned range for 'stem\.7', which the graph lacks"):
            measure(spec=spec)
