"""The flavor `tensorrt`, which needs a GPU.

Parser, builder and options are those of TensorRT for RTX, which has the same API and needs none; the runtime, its
inspector and the GPU are simulated here. What only a GPU can show is not shown.
"""

import dataclasses
import json
from types import SimpleNamespace

import onnx
import pytest
import tensorrt_rtx
from integration import plan_models

from fer_deploy.environment import Gpu, Host, survey
from fer_deploy.errors import ConfigError, ExportError
from fer_deploy.export.plan import build
from fer_deploy.export.plan.build import build_network_plan, build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.manifest import BatchProfile, read_manifest, read_network_manifest


class SimulatedEngine:
    """Says of every layer what it was told, once its context has a shape, as TensorRT does."""

    def __init__(self, types: list[str]) -> None:
        self.types, self.shapes = types, []

    def create_execution_context(self):
        return SimpleNamespace(set_input_shape=lambda name, shape: self.shapes.append((name, shape)))

    def create_engine_inspector(self):
        return SimpleNamespace(get_engine_information=self.report, execution_context=None)

    def report(self, form) -> str:
        assert form == tensorrt_rtx.LayerInformationFormat.JSON
        names = self.types if self.shapes else ["N/A due to dynamic shapes"] * len(self.types)
        tensors = [[{"Name": "x", "Format/Datatype": name}] for name in names]
        return json.dumps({"Layers": [{"LayerType": "conv", "Inputs": t, "Outputs": t} for t in tensors]})


@pytest.fixture
def engine() -> SimulatedEngine:
    return SimulatedEngine(["Float"] * 5)


@pytest.fixture
def runtimes(monkeypatch, engine) -> list[SimpleNamespace]:
    """Every runtime that was made; the flavor `tensorrt` is the real RTX module with another Runtime."""
    made: list[SimpleNamespace] = []

    def make_runtime(logger) -> SimpleNamespace:
        made.append(SimpleNamespace(deserialize_cuda_engine=lambda plan: engine if plan else None))
        return made[-1]

    module = SimpleNamespace(**{**vars(tensorrt_rtx), "Runtime": make_runtime})
    monkeypatch.setattr(build, "load_tensorrt", lambda flavor: module)
    host = Host("linux", "x86_64", {}, (Gpu("NVIDIA H100 80GB HBM3", "9.0", 80 * 2**30),))
    found = dataclasses.replace(survey(), host=host, driver="580.65.06")
    monkeypatch.setattr(build, "survey", lambda: found)
    return made


@pytest.fixture
def model(tmp_path):
    onnx.save(plan_models.fp32_model(), tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


def test_manifest_names_the_gpu_and_the_inspector(model, runtimes, engine, tmp_path):
    config = BuildConfig(hardware_compatibility="same_compute_capability", profile=BatchProfile(min=1, opt=2, max=8))
    manifest = build_plan(model, tmp_path / "a.plan", config)
    assert manifest == read_manifest(tmp_path / "a.plan")
    target = manifest.target
    assert (target.gpu, target.compute_capabilities, target.driver) == ("NVIDIA H100 80GB HBM3", ("9.0",), "580.65.06")
    assert (target.os, target.hardware_compatibility) == ("linux", "same_compute_capability")
    assert (manifest.precision_proof.source, manifest.precision_proof.convolutions) == ("inspector", {"Float": 5})
    assert engine.shapes == [("images", (2, 1, 48, 48))]
    assert [runtime.engine_host_code_allowed for runtime in runtimes] == [False]


def test_a_network_without_spec(model, runtimes, engine, tmp_path):
    graph = onnx.load(model)
    del graph.metadata_props[:]
    onnx.save(graph, model)
    sizes = {"min": (1, 1, 48, 48), "opt": (2, 1, 48, 48), "max": (8, 1, 48, 48)}
    manifest = build_network_plan(model, tmp_path / "a.plan", BuildConfig(input_shapes={"images": sizes}))
    assert manifest == read_network_manifest(tmp_path / "a.plan")
    assert (manifest.target.gpu, manifest.precision_proof.source) == ("NVIDIA H100 80GB HBM3", "inspector")
    assert engine.shapes == [("images", (2, 1, 48, 48))]
    engine.types = ["Half"] * 5
    with pytest.raises(ExportError, match=r"the network's convolutions are 5 Float, the compiled ones 5 Half"):
        build_network_plan(model, tmp_path / "b.plan", BuildConfig(input_shapes={"images": sizes}))


class RecordingBuilder:
    """The real builder of TensorRT for RTX; keeps the config that it made."""

    def __init__(self, logger) -> None:
        self.builder, self.configs = tensorrt_rtx.Builder(logger), []

    def __getattr__(self, name):
        return getattr(self.builder, name)

    def create_builder_config(self):
        self.configs.append(self.builder.create_builder_config())
        return self.configs[-1]


@pytest.mark.parametrize(("flavor", "is_set"), [("tensorrt", False), ("tensorrt-rtx", True)])
def test_only_rtx_is_told_to_allocate_nothing_while_it_runs(model, runtimes, tmp_path, monkeypatch, flavor, is_set):
    """CUDA graphs need it; the other flavor has no such flag, and allocates before it runs."""
    made = []

    def record(logger) -> RecordingBuilder:
        made.append(RecordingBuilder(logger))
        return made[-1]

    module = SimpleNamespace(**{**vars(build.load_tensorrt(None)), "Builder": record})
    monkeypatch.setattr(build, "load_tensorrt", lambda flavor: module)
    build_plan(model, tmp_path / "a.plan", BuildConfig(flavor=flavor))
    ((config,),) = [builder.configs for builder in made]
    assert config.get_flag(tensorrt_rtx.BuilderFlag.REQUIRE_USER_ALLOCATION) is is_set


@pytest.mark.parametrize("types", [["Half"] * 5, ["Float"] * 4 + ["Half"]])
def test_the_inspector_contradicts(model, runtimes, engine, tmp_path, types):
    engine.types = types
    with pytest.raises(ExportError, match=r"the network's convolutions are 5 Float, the compiled ones .*Half"):
        build_plan(model, tmp_path / "a.plan", BuildConfig())
    assert not (tmp_path / "a.plan").exists()


def test_an_inspector_that_tells_no_types(model, runtimes, engine, tmp_path):
    engine.types = []
    proof = build_plan(model, tmp_path / "a.plan", BuildConfig()).precision_proof
    assert (proof.source, proof.convolutions) == ("network", {"Float": 5})


def test_a_plan_that_does_not_load(model, runtimes, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "create_execution_context", lambda: None)
    with pytest.raises(ExportError, match="cannot load the plan that it just built"):
        build_plan(model, tmp_path / "a.plan", BuildConfig())
    assert not (tmp_path / "a.plan").exists()


def test_no_gpu_to_name(model, runtimes, tmp_path, monkeypatch):
    bare = dataclasses.replace(survey(), host=Host("linux", "x86_64", {}))
    monkeypatch.setattr(build, "survey", lambda: bare)
    with pytest.raises(ExportError, match="nvidia-smi lists none"):
        build_plan(model, tmp_path / "a.plan", BuildConfig())


def test_a_builder_that_does_not_start(model, tmp_path, monkeypatch):
    def refuse(logger):
        logger.log(tensorrt_rtx.ILogger.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    module = SimpleNamespace(**{**vars(tensorrt_rtx), "Builder": refuse})
    monkeypatch.setattr(build, "load_tensorrt", lambda flavor: module)
    with pytest.raises(ExportError, match=r"does not start: CUDA initialization failure.*or --flavor tensorrt-rtx"):
        build_plan(model, tmp_path / "a.plan", BuildConfig())


def test_timing_cache_that_cannot_be_read(model, runtimes, tmp_path):
    with pytest.raises(ConfigError, match=r"timing_cache: cannot read .*Is a directory"):
        build_plan(model, tmp_path / "a.plan", BuildConfig(timing_cache=tmp_path))
