import threading

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fer_deploy.engines import network as network_module
from fer_deploy.engines.network import TensorInfo, open_network
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, MissingDependencyError

FIX = "get the right file"


@pytest.fixture(scope="module")
def sum_and_difference(tmp_path_factory):
    """A graph of two inputs and two outputs, the batch free."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("a", "b")]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("sum", "difference")]
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    path = tmp_path_factory.mktemp("network") / "two.onnx"
    graph = helper.make_graph(nodes, "two", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def pair(value: float) -> dict[str, np.ndarray]:
    return {"a": np.full((3, 2), value, dtype=np.float32), "b": np.ones((3, 2), dtype=np.float32)}


def test_tensors_by_name(sum_and_difference):
    network = open_network(sum_and_difference, fix=FIX)
    assert network.inputs == {name: TensorInfo("float32", (None, 2)) for name in ("a", "b")}
    assert network.outputs == {name: TensorInfo("float32", (None, 2)) for name in ("sum", "difference")}
    outputs = network.run(pair(5))
    assert {name: value.tolist() for name, value in outputs.items()} == {
        "sum": [[6, 6]] * 3,
        "difference": [[4, 4]] * 3,
    }
    assert network.description.startswith("ONNX Runtime")
    assert network.description.endswith("CPUExecutionProvider")


def test_threads_run_it_side_by_side(sum_and_difference):
    network, right = open_network(sum_and_difference, fix=FIX), []

    def run(value: float) -> None:
        sums = [network.run(pair(value))["sum"][0, 0] for _ in range(200)]
        right.append(all(found == value + 1 for found in sums))

    threads = [threading.Thread(target=run, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 4


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"a": np.ones((3, 2), np.float32)},
        {"a": np.ones((3, 5), np.float32), "b": np.ones((3, 5), np.float32)},
        {"a": np.ones((3, 2), np.uint8), "b": np.ones((3, 2), np.uint8)},
    ],
    ids=["none", "one missing", "shape", "dtype"],
)
def test_other_tensors_are_refused(sum_and_difference, tensors):
    with pytest.raises(EngineError, match=r"ONNX Runtime .*CPUExecutionProvider failed: "):
        open_network(sum_and_difference, fix=FIX).run(tensors)


class TestOpening:
    def test_missing(self, tmp_path):
        with pytest.raises(ArtifactError, match=rf"no model at .*none\.onnx\. Fix: {FIX}"):
            open_network(tmp_path / "none.onnx", fix=FIX)

    def test_damaged(self, tmp_path, sum_and_difference):
        path = tmp_path / "cut.onnx"
        path.write_bytes(sum_and_difference.read_bytes()[:-20])
        with pytest.raises(ArtifactError, match=rf"cannot load .*cut\.onnx: truncated, .*Fix: {FIX}"):
            open_network(path, fix=FIX)

    @pytest.mark.parametrize("name", ["yunet.plan", "yunet.engine"])
    def test_a_plan_that_is_missing(self, tmp_path, name):
        with pytest.raises(ArtifactError, match=rf"no model at .*{name}\. Fix: {FIX}"):
            open_network(tmp_path / name, fix=FIX)

    def test_another_suffix(self, tmp_path):
        with pytest.raises(ArtifactError, match=rf"yunet\.pt: expected an \.onnx or \.plan file\. Fix: {FIX}"):
            open_network(tmp_path / "yunet.pt", fix=FIX)

    def test_too_many_threads(self, sum_and_difference):
        with pytest.raises(ConfigError, match="999 threads were requested"):
            open_network(sum_and_difference, fix=FIX, threads=999)

    @pytest.mark.parametrize(
        ("name", "missing", "extra"), [("a.onnx", "onnxruntime", "cpu"), ("a.plan", "cuda", "tensorrt")]
    )
    def test_without_the_runtime(self, tmp_path, monkeypatch, name, missing, extra):
        def fail(_: str) -> None:
            raise ModuleNotFoundError(name=missing)

        (tmp_path / name).write_bytes(b"content")
        monkeypatch.setattr(network_module, "import_module", fail)
        wanted = rf"{missing} is not installed\. Fix: pip install 'fer-toolchain\[{extra}\]'"
        with pytest.raises(MissingDependencyError, match=wanted):
            open_network(tmp_path / name, fix=FIX)
