"""runtimes.py compares each runtime with ONNX Runtime in the same windows, and says how far the answers agree."""

import importlib.util
import json
from functools import partial

import numpy as np
import pytest
import runtimes
from click.testing import CliRunner
from unit.fer_deploy.bench.results import measurement

from fer_deploy.bench.windows import WindowPlan
from fer_deploy.engines.fake import FakeEngine

SHORT = WindowPlan(window_s=0.0, warm_up_s=0.0, settle_s=0.0)
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")


class Opposite(FakeEngine):
    """Names the other emotion."""

    def _run(self, images_nchw):
        return super()._run(images_nchw)[:, ::-1]


def test_answers_and_rates_are_those_of_the_same_faces(monkeypatch):
    engines = {runtimes.REFERENCE: FakeEngine(), runtimes.OPENVINO: Opposite()}
    loaded = runtimes.loaded_engines(engines, 4, workers=2)
    assert [one.same for one in loaded.values()] == ["100.0% of emotions", "0.0% of emotions"]
    assert [len(one.calls) for one in loaded.values()] == [2, 2]
    found = {runtimes.REFERENCE: measurement(8, 100), runtimes.OPENVINO: measurement(4, 150)}
    monkeypatch.setattr(runtimes, "measure_pairs", lambda loads, pairs, plan: found)
    rows = list(runtimes.rows_of("net.onnx", 4, loaded, SHORT, 15))
    assert [(row["runtime"], row["ratio"], row["per_s"], row["per_s_worker"]) for row in rows] == [
        (runtimes.REFERENCE, [1.0, 1.0, 1.0], pytest.approx(100), pytest.approx(50)),
        (runtimes.OPENVINO, pytest.approx([1.5, 1.5, 1.5]), pytest.approx(150), pytest.approx(75)),
    ]
    env = {
        "hardware": "A chip",
        "date": "2026-01-02",
        "python": "3",
        "command": "c",
        "onnxruntime": "1",
        "openvino": "2",
    }
    report = runtimes.report({"environment": env, "results": rows})
    assert "| net.onnx | 4 | OpenVINO | 1.50x [1.50, 1.50] | 150 | 75 | 4.00 |" in report.markdown
    (measure,) = report.measures
    assert (measure.name, measure.better, measure.is_ratio) == (
        "net.onnx, batch 4, OpenVINO: times ONNX Runtime",
        "higher",
        True,
    )


@needs_openvino
def test_a_network_answers_the_same_in_openvino(tmp_path):
    from onnx import TensorProto, helper  # noqa: PLC0415 - with the tests' extras only

    shape = ["n", 3, "h", "w"]
    twice = helper.make_node("Add", ["image", "image"], ["head"])
    graph = helper.make_graph(
        [twice],
        "twice",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("head", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    picture = np.ones((1, 3, 4, 6), dtype=np.float32)
    one, other = runtimes.openvino_calls(model.SerializeToString(), picture, "f32", workers=2)
    for run in (one, other):
        np.testing.assert_array_equal(run()["head"], 2 * picture)


@needs_openvino
@pytest.mark.slow
def test_the_bundled_model_in_both_runtimes(monkeypatch, tmp_path):
    monkeypatch.setattr(runtimes, "WindowPlan", partial(WindowPlan, 0.0, 0.0, settle_s=0.0))
    monkeypatch.setattr(runtimes, "available_cores", lambda: 1)
    monkeypatch.setattr(runtimes, "loaded_yunets", lambda yunet, workers: {})
    (tmp_path / "yunet.onnx").touch()
    out = tmp_path / "runtimes.md"
    words = ["--batch", "1", "--pairs", "3", "--yunet", str(tmp_path / "yunet.onnx"), "--out", str(out)]
    done = CliRunner().invoke(runtimes.main, words)
    assert done.exit_code == 0, done.output
    rows = json.loads(out.with_suffix(".json").read_text())["results"]
    int8 = [row for row in rows if row["network"] == "senet-ferplus-int8-cpu.onnx"]
    assert [row["runtime"] for row in int8] == [runtimes.REFERENCE, runtimes.OPENVINO]
    assert float(int8[1]["same"].partition("%")[0]) > 95
    fp16 = {row["runtime"] for row in rows if row["network"] == "senet-ferplus-fp16.onnx"}
    assert fp16 >= {runtimes.REFERENCE, runtimes.OPENVINO}
