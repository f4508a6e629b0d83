import numpy as np
import pytest

from fer_deploy.artifacts import bundled_model
from fer_deploy.bench.machine.roofline import GraphWork, Roof, graph_work, measure_roof
from fer_deploy.bench.processes import roof as roof_process
from fer_deploy.bench.windows import SystemClock
from fer_deploy.engines.onnx_file import work
from fer_deploy.engines.onnx_file.messages import parse_model
from fer_deploy.spec import Precision

WORK = GraphWork(multiply_adds=10**6, weight_bytes=10**6, image_bytes=10**3)


def test_the_nearer_roof_limits():
    fast_memory, slow_memory = Roof(1, 2e9, 1e12), Roof(1, 2e9, 1e6)
    assert WORK.attainable_per_s(1, fast_memory) == 1000.0
    assert WORK.attainable_per_s(1, slow_memory) == pytest.approx(1e6 / 1.001e6)


def test_a_batch_reads_the_weights_once():
    roof = Roof(1, 2e12, 1e6)
    assert WORK.attainable_per_s(100, roof) == pytest.approx(1e6 / (1e4 + 1e3))


def test_both_precisions_of_a_network_compute_the_same():
    found = {p: graph_work(bundled_model(p).read_bytes()) for p in (Precision.FP16, Precision.INT8)}
    fp16, int8 = found.values()
    assert fp16.multiply_adds == int8.multiply_adds == 237_822_976
    assert int8.weight_bytes < 0.6 * fp16.weight_bytes
    assert fp16.image_bytes == 48 * 48 + 4 * 8


def test_the_count_of_a_convolution_by_hand():
    model = parse_model(bundled_model().read_bytes())
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == first.input[1])
    del model.graph.node[list(model.graph.node).index(first) + 1 :]
    del model.graph.output[:]
    model.graph.output.add(name=first.output[0])
    per_value = np.prod(list(weight.dims)[1:])
    assert graph_work(model.SerializeToString()).multiply_adds == 48 * 48 * weight.dims[0] * per_value


def test_a_file_without_products_or_without_a_graph_has_no_work(monkeypatch):
    assert graph_work(b"\xff" * 40) is None
    monkeypatch.setattr(work, "work_of_one_image", lambda _: (0, 5, 5))
    assert graph_work(b"") is None


def test_the_rates_are_measured_in_a_process():
    found = measure_roof(1)
    assert found.threads == 1
    assert found.flops_per_s > 1e6
    assert found.bytes_per_s > 1e6


def test_items_of_the_two_rates():
    assert roof_process.best_rate(roof_process.products(side=16)) > 0
    window = roof_process.copies(2, num_bytes=64).window(0.0, SystemClock())
    assert window.num_items == 2 * 2 * 64
