"""Time by layer: ONNX Runtime's trace cut into calls, TensorRT's profiler on a simulated GPU, and the sums of both."""

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from integration import plan_models
from unit.fer_deploy.engines.simulated_machine import SimulatedMachine
from unit.fer_deploy.engines.tensorrt.plan_files import write_plan
from unit.fer_deploy.engines.tensorrt.simulated_tensorrt import Engine

from fer_deploy.bench import layers as layers_module
from fer_deploy.bench.layers import layers_of, lines_of, measure_layers
from fer_deploy.engines.layer_profile import LayerProfile, LayerSample
from fer_deploy.engines.onnxruntime.profile import calls_of
from fer_deploy.engines.tensorrt.profile import profile_plan
from fer_deploy.errors import ConfigError, EngineError, MissingDependencyError

IMAGES = np.random.default_rng(1).integers(0, 256, (4, 1, 48, 48), dtype=np.uint8)


def event(name, ts, dur, cat="Node", **args):
    return {"cat": cat, "name": name, "ts": ts, "dur": dur, "args": args}


def sample(name, ms, operator="Conv"):
    return LayerSample(name, operator, ms)


@pytest.fixture
def tiny(tmp_path):
    onnx.save(plan_models.fp32_model(), tmp_path / "tiny-fp32.onnx")
    return tmp_path / "tiny-fp32.onnx"


class TestTrace:
    def test_nodes_are_cut_into_calls_whatever_their_order(self):
        events = [
            event("b_kernel_time", 250, 40, op_name="Relu"),
            event("model_run", 200, 100, "Session"),
            event("session_initialization", 0, 90, "Session"),
            event("a_kernel_time", 110, 30, op_name="Conv"),
            event("b_kernel_time", 150, 20, op_name="Relu"),
            event("a_fence_before", 109, 1, op_name="Conv"),
            event("model_run", 100, 80, "Session"),
            event("a_kernel_time", 210, 35, op_name="Conv"),
        ]
        calls, times = calls_of(events)
        assert calls == [
            [sample("a", 0.03), sample("b", 0.02, "Relu")],
            [sample("a", 0.035), sample("b", 0.04, "Relu")],
        ]
        assert times == [0.08, 0.1]

    def test_a_node_without_a_name_has_that_of_its_operator(self):
        calls, _ = calls_of([event("model_run", 0, 9, "Session"), event("_kernel_time", 1, 2, op_name="Transpose")])
        assert calls == [[sample("Transpose", 0.002, "Transpose")]]


class TestSums:
    PROFILE = LayerProfile(
        "engine",
        [
            [sample("a", 2.0), sample("b", 4.0, "Relu"), sample("c", 1.0), sample("c", 3.0)],
            [sample("a", 1.0), sample("b", 3.0, "Relu"), sample("c", 2.0), sample("c", 2.5)],
            [sample("a", 90.0), sample("b", 40.0, "Relu")],
        ],
        [10.0, 9.0, 130.0],
    )

    def test_medians_and_shares(self):
        found = layers_of(self.PROFILE)
        assert [(layer.name, layer.operator, layer.ms) for layer in found] == [
            ("b", "Relu", 4.0),
            ("c", "Conv", 4.0),
            ("a", "Conv", 2.0),
        ]
        assert [layer.share for layer in found] == [0.4, 0.4, 0.2]

    def test_the_rest_is_one_line_and_nothing_is_lost(self):
        times = layers_module.LayerTimes("f", "engine", 1, 2, 7.0, layers_of(self.PROFILE))
        first, rest = times.top(1)
        assert (first.name, rest.name, rest.ms, rest.share) == ("b", "2 others", 6.0, pytest.approx(0.6))
        assert times.top(3) == times.layers
        assert times.layers_ms == 10.0
        assert [(one.operator, one.name, one.ms) for one in times.by_operator()] == [
            ("Conv", "2 layers", 6.0),
            ("Relu", "1 layers", 4.0),
        ]
        assert lines_of(times.top(1))[0] == "   4.0000 ms  40.0%  Relu  b"
        assert json.loads(json.dumps(times.to_dict()))["layers"][0]["share"] == 0.4


class TestOnnxRuntime:
    def test_every_layer_of_a_real_session(self, tiny):
        found = measure_layers(tiny, batch=3, threads=1, calls=4)
        assert (found.file, found.batch, found.num_calls) == ("tiny-fp32.onnx", 3, 4)
        convolutions = [layer for layer in found.layers if layer.operator in ("Conv", "FusedConv")]
        assert len(convolutions) == plan_models.NUM_CONVOLUTIONS
        assert sum(layer.share for layer in found.layers) == pytest.approx(1)
        assert all(layer.ms >= 0 for layer in found.layers)
        assert found.layers_ms > 0
        assert found.engine.endswith("CPUExecutionProvider")

    def test_the_error_for_an_absent_runtime_names_the_extra(self, tiny, monkeypatch):
        def absent(name):
            raise ModuleNotFoundError(f"No module named {name!r}", name="onnxruntime")

        monkeypatch.setattr(layers_module, "import_module", absent)
        with pytest.raises(
            MissingDependencyError, match=r"onnxruntime is not installed. Fix: pip install 'fer-toolchain"
        ):
            measure_layers(tiny)


class Profiler:
    def __init__(self):
        self.is_base_made = True


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """A simulated GPU whose layers are `layers`, and whose contexts report them when they are asked."""
    machine = SimulatedMachine(monkeypatch, tmp_path)
    machine.trt.IProfiler, machine.layers = Profiler, [("conv1", 0.5), ("pool", 0.25)]
    machine.trt.LayerInformationFormat = SimpleNamespace(JSON="json")

    def make(trt):
        engine = Engine(trt, trt.spec)
        create = engine.create_execution_context

        def new_context(config=None):
            context = create(config)

            def report():
                assert context.enqueue_emits_profile is False
                for layer in machine.layers:
                    context.profiler.report_layer_time(*layer)
                return bool(machine.layers)

            context.report_to_profiler = report
            return context

        known = {"Layers": [{"Name": "conv1", "LayerType": "CaskConvolution"}, "pool"]}
        engine.create_execution_context = new_context
        engine.create_engine_inspector = lambda: SimpleNamespace(
            get_engine_information=lambda form: json.dumps(known) if form == "json" else "oneline"
        )
        return engine

    machine.trt.make_engine = make
    return machine


class TestTensorRT:
    def test_every_call_reports_its_layers(self, gpu):
        found = profile_plan(write_plan(gpu.folder), IMAGES, warm_up=2, calls=3)
        assert found.calls == [[sample("conv1", 0.5, "CaskConvolution"), sample("pool", 0.25, "")]] * 3
        assert len(found.call_ms) == 3
        assert found.engine == "TensorRT 11.4.0.106, Simulated 3090"
        assert gpu.cudart.num_live == 0
        assert set(gpu.trt.batches) == {4}

    def test_no_times_is_an_error(self, gpu):
        gpu.layers = []
        with pytest.raises(EngineError, match=r"TensorRT reported no times of the layers .*trtexec --dumpProfile"):
            profile_plan(write_plan(gpu.folder), IMAGES)
        assert gpu.cudart.num_live == 0

    def test_a_batch_that_the_plan_does_not_accept(self, gpu):
        with pytest.raises(ConfigError, match=r"accepts 1 to 64 images, not 80"):
            profile_plan(write_plan(gpu.folder), np.repeat(IMAGES, 20, axis=0))


def test_the_real_module_has_what_the_profiler_needs():
    trt = pytest.importorskip("tensorrt_rtx")
    assert callable(trt.IProfiler.report_layer_time)
    for name in ("profiler", "enqueue_emits_profile", "report_to_profiler"):
        assert hasattr(trt.IExecutionContext, name), name
    assert "JSON" in trt.LayerInformationFormat.__members__
