"""OnnxRuntimeEngine on the CPU, and the proof of its provider."""

import logging
import os
import sys
import types

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from fer_deploy.engines.onnx_file.work import Work
from fer_deploy.engines.onnxruntime import session as onnxruntime_session
from fer_deploy.engines.onnxruntime.engine import OnnxRuntimeEngine
from fer_deploy.engines.onnxruntime.session import SessionRequest, open_session
from fer_deploy.engines.threads import available_cores
from fer_deploy.errors import ConfigError, EngineError, MissingDependencyError

IMAGES = np.random.default_rng(3).integers(0, 256, (3, 1, 48, 48)).astype(np.uint8)


def num_threads() -> int:
    return len(os.listdir("/proc/self/task"))


class TestSettings:
    def test_recorded(self, tiny_onnx):
        with OnnxRuntimeEngine.open(tiny_onnx, device="cpu") as engine:
            settings = dict(engine.settings)
        assert settings.pop("nodes").endswith(" on CPUExecutionProvider")
        assert int(settings.pop("warm_up_ms")) >= 0
        assert settings == {
            "onnxruntime": ort.__version__,
            "provider": "CPUExecutionProvider",
            "threads": str(available_cores()),
            "execution": "ORT_SEQUENTIAL",
            "graph_optimization": "ORT_ENABLE_ALL",
            "spinning": "0",
        }

    def test_read_only(self, tiny_onnx):
        with OnnxRuntimeEngine.open(tiny_onnx, device="cpu") as engine, pytest.raises(TypeError):
            engine.settings["threads"] = "9"

    @pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads through Linux's /proc")
    @pytest.mark.skipif(available_cores() < 2, reason="one core: no thread but the caller's")
    @pytest.mark.parametrize(("threads", "more"), [(1, 0), (2, 1)])
    def test_threads_are_what_was_asked_for(self, tiny_onnx, threads, more):
        """The calling thread is one of them."""
        before = num_threads()
        with OnnxRuntimeEngine.open(tiny_onnx, device="cpu", threads=threads) as engine:
            engine.infer(IMAGES)
            assert num_threads() - before == more

    def test_too_many_threads(self, tiny_onnx):
        with pytest.raises(ConfigError, match="999 threads were requested"):
            OnnxRuntimeEngine.open(tiny_onnx, device="cpu", threads=999)


def test_warm_when_opened(tiny_onnx, monkeypatch):
    batches = []
    run = ort.InferenceSession.run

    def spy(self, outputs, inputs, *args):
        batches.append(len(inputs["images"]))
        return run(self, outputs, inputs, *args)

    monkeypatch.setattr(ort.InferenceSession, "run", spy)
    with OnnxRuntimeEngine.open(tiny_onnx, device="cpu") as engine:
        assert batches == [1, 2]
        engine.infer(IMAGES)
    assert batches == [1, 2, 3]


def test_closed(tiny_onnx):
    engine = OnnxRuntimeEngine.open(tiny_onnx, device="cpu")
    engine.close()
    with pytest.raises(EngineError, match=r"ONNX Runtime .* is closed\. Fix: open it again"):
        engine.infer(IMAGES)


@pytest.mark.parametrize(("variant", "warns"), [("int8", True), ("int8-cpu", False), ("fp32", False), (None, False)])
def test_int8_for_tensorrt_on_a_cpu(tiny_onnx, tmp_path, caplog, variant, warns):
    model = onnx.load(tiny_onnx)
    if variant is not None:
        model.metadata_props.add(key="fer_variant", value=variant)
    onnx.save(model, tmp_path / "net-x.onnx")
    with caplog.at_level(logging.WARNING), OnnxRuntimeEngine.open(tmp_path / "net-x.onnx", device="cpu"):
        assert ("the INT8 graph for TensorRT; on a CPU it is slower" in caplog.text) is warns
    assert ("nano-int8-cpu.onnx" in caplog.text) is warns


class FakePart:
    def __init__(self, ep_name: str, num_nodes: int) -> None:
        self.ep_name, self._nodes = ep_name, [object()] * num_nodes

    def get_nodes(self):
        return self._nodes


class FakeSession:
    """As much of a session as the proof asks."""

    def __init__(self, providers: list[str], parts: list[FakePart] | None) -> None:
        self._providers, self._parts = providers, parts
        if parts is not None:
            self.get_provider_graph_assignment_info = lambda: parts

    def get_providers(self):
        return self._providers


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class TestProof:
    """Where the session itself does not refuse: an old ONNX Runtime, or one with a bug."""

    def test_all_nodes(self):
        assert onnxruntime_session._prove(FakeSession([CUDA, CPU], [FakePart(CUDA, 20), FakePart(CUDA, 4)]), CUDA) == 24

    def test_another_provider(self):
        with pytest.raises(EngineError, match=f"asked ONNX Runtime for {CUDA} but got {CPU}"):
            onnxruntime_session._prove(FakeSession([CPU], []), CUDA)

    def test_a_node_on_the_cpu(self):
        session = FakeSession([CUDA, CPU], [FakePart(CUDA, 23), FakePart(CPU, 1)])
        with pytest.raises(EngineError, match=f"got 23 nodes on {CUDA}, 1 nodes on {CPU}"):
            onnxruntime_session._prove(session, CUDA)

    def test_not_recorded(self):
        assert onnxruntime_session._prove(FakeSession([CUDA, CPU], None), CUDA) is None

    def test_counts_a_real_graph(self, tiny_onnx):
        """The count is taken before fusions, so it is near that of the file."""
        nodes = int(open_session(tiny_onnx, SessionRequest("cpu")).settings["nodes"].split()[0])
        assert nodes == pytest.approx(len(onnx.load(tiny_onnx).graph.node), abs=3)


class TestGpuSession:
    @pytest.mark.parametrize(
        ("device", "provider", "expected"),
        [
            ("cuda", CUDA, {"device_id": "0", "enable_cuda_graph": "1", "use_tf32": "0"}),
            ("tensorrt", "TensorrtExecutionProvider", {"device_id": "0", "trt_engine_cache_enable": "0"}),
        ],
    )
    def test_what_is_asked_for(self, tiny_onnx, monkeypatch, device, provider, expected):
        """Only the provider, none of the three ways back to the CPU, and no CPU threads."""
        asked = {}

        def session(path, options, *, providers, enable_fallback):
            asked.update(path=path, options=options, providers=providers, enable_fallback=enable_fallback)
            return FakeSession([provider, CPU], [FakePart(provider, 24)])

        monkeypatch.setattr(ort, "get_available_providers", lambda: [provider, CPU])
        monkeypatch.setattr(onnxruntime_session, "measure_work", lambda content, *, all_known: Work(None, None))
        monkeypatch.setattr(ort, "InferenceSession", session)
        opened = open_session(tiny_onnx, SessionRequest(device, threads=None, cuda_graph=True))
        assert asked["providers"] == [(provider, expected)]
        assert asked["enable_fallback"] is False
        assert asked["options"].get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
        assert asked["options"].intra_op_num_threads == 1
        assert opened.settings["nodes"] == f"24 of 24 on {provider}"
        assert {k.removeprefix("provider."): v for k, v in opened.settings.items() if "provider." in k} == expected

    def test_without_graph(self):
        assert (
            onnxruntime_session._provider_options("cuda", SessionRequest("cuda", None, False))["enable_cuda_graph"]
            == "0"
        )

    def test_unknown_device(self, tiny_onnx):
        with pytest.raises(ConfigError, match=r"unknown device 'tpu'\. Fix: one of auto, cpu, cuda, tensorrt, "):
            open_session(tiny_onnx, SessionRequest("tpu"))


class TestRtxPlugin:
    @pytest.fixture
    def plugin(self, monkeypatch):
        module = types.ModuleType("onnxruntime_ep_nv_tensorrt_rtx")
        module.get_ep_name = lambda: "NvTensorRTRTXExecutionProvider"
        module.get_library_path = lambda: "/nowhere/libprovider.so"
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.delitem(sys.modules, "fer_deploy.engines.onnxruntime.rtx_plugin", raising=False)
        yield module
        sys.modules.pop("fer_deploy.engines.onnxruntime.rtx_plugin", None)

    def test_not_installed(self, tiny_onnx, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", None)
        with pytest.raises(MissingDependencyError, match="Fix: pip install onnxruntime-ep-nv-tensorrt-rtx"):
            OnnxRuntimeEngine.open(tiny_onnx, device="tensorrt-rtx")

    def test_library_that_does_not_load(self, tiny_onnx, plugin):
        """The refusal is ONNX Runtime's own."""
        with pytest.raises(EngineError, match=r"cannot load NvTensorRTRTX.*cannot open shared object .*Fix: "):
            OnnxRuntimeEngine.open(tiny_onnx, device="tensorrt-rtx")

    def test_no_gpu_for_it(self, tiny_onnx, plugin, monkeypatch):
        monkeypatch.setattr(ort, "register_execution_provider_library", lambda name, path: None)
        with pytest.raises(EngineError, match=r'supports no GPU of this machine.*Fix: device="cuda"'):
            OnnxRuntimeEngine.open(tiny_onnx, device="tensorrt-rtx")
