import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import fer_deploy.engines as engines_package
from fer_deploy.engines import open_engine
from fer_deploy.engines.onnxruntime import device as onnxruntime_device
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, MissingDependencyError
from fer_deploy.export.graph.source import read_onnx
from fer_deploy.spec import SPEC_KEY

LEAF = "fer_deploy.engines.onnxruntime.engine"


@pytest.fixture
def with_metadata(tiny_onnx, tmp_path):
    """Return a function that copies the model with other metadata."""

    def write(metadata: dict[str, str]):
        model = onnx.load(tiny_onnx)
        del model.metadata_props[:]
        onnx.helper.set_model_props(model, metadata)
        path = tmp_path / "changed.onnx"
        onnx.save(model, path)
        return path

    return write


class TestFiles:
    @pytest.mark.parametrize("name", ["net", "net.model", "net.onnx.old"])
    def test_unknown_suffix(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"\x00\x0a\x12")
        known = r"known: \.onnx, \.plan, \.engine\. Fix: "
        with pytest.raises(ArtifactError, match=rf"cannot open .*: no engine for the suffix .*; {known}"):
            open_engine(tmp_path / name)

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda path: None, "no model at "),
            (lambda path: path.touch(), "net.onnx is empty, expected a model file"),
            (lambda path: path.mkdir(), "net.onnx is a folder, expected a model file"),
        ],
    )
    def test_no_file(self, tmp_path, make, text):
        make(tmp_path / "net.onnx")
        with pytest.raises(ArtifactError, match=text) as caught:
            open_engine(tmp_path / "net.onnx")
        assert "Fix: fer-deploy export --checkpoint" in str(caught.value)
        assert f"--out {tmp_path}" in str(caught.value)

    @pytest.mark.parametrize("share", [1e-6, 0.001, 0.3, 0.9, 0.999999])
    def test_truncated(self, tiny_onnx, tmp_path, share):
        content = tiny_onnx.read_bytes()
        path = tmp_path / "net.onnx"
        path.write_bytes(content[: max(1, int(len(content) * share))])
        with pytest.raises(ArtifactError, match=r"cannot load .*net\.onnx: truncated, or not an ONNX m") as caught:
            open_engine(path)
        assert str(caught.value).endswith("Fix: copy the file again, or export it again with fer-deploy export")
        with pytest.raises(ArtifactError, match=r"truncated, or not an ONNX model\. Fix: copy the file again"):
            read_onnx(path)

    @pytest.mark.parametrize("content", [b"\xffhello world", b"\x00" * 64, b"PK\x03" * 20])
    def test_foreign(self, tmp_path, content):
        path = tmp_path / "net.onnx"
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"cannot load .* truncated, or not an ONNX model"):
            open_engine(path)


class TestMetadata:
    def test_none(self, with_metadata):
        with pytest.raises(ArtifactError, match=r"changed\.onnx: it has no ModelSpec, so its labels and input are"):
            open_engine(with_metadata({"other": "x"}))

    @pytest.mark.parametrize("text", ["{bad json", "", "[1, 2]"])
    def test_bad_json(self, with_metadata, text):
        with pytest.raises(ArtifactError, match=r"cannot use .*changed\.onnx: its ModelSpec is not one that this"):
            open_engine(with_metadata({SPEC_KEY: text}))

    def test_newer_version(self, with_metadata, tiny_spec):
        with pytest.raises(ArtifactError, match="spec_version: expected 1"):
            open_engine(with_metadata({SPEC_KEY: json.dumps({**tiny_spec, "spec_version": 2})}))

    @pytest.mark.parametrize(
        "change",
        [
            {"labels": ["one", "two", "three"]},
            {"input": {"name": "pixels"}},
            {"input": {"height": 64}},
            {"input": {"width": 47}},
        ],
    )
    def test_spec_that_does_not_fit_the_graph(self, with_metadata, tiny_spec, change):
        spec = {**tiny_spec, **change, "input": {**tiny_spec["input"], **change.get("input", {})}}
        with pytest.raises(
            ArtifactError, match=r"its graph has inputs .*its ModelSpec promises .*Fix: export it again"
        ):
            open_engine(with_metadata({SPEC_KEY: json.dumps(spec)}))


class TestProvider:
    def test_cuda_on_a_cpu_build(self, tiny_onnx, monkeypatch):
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
        with pytest.raises(EngineError) as caught:
            open_engine(tiny_onnx, device="cuda")
        text = str(caught.value)
        assert "device cuda needs CUDAExecutionProvider; this ONNX Runtime build offers CPUExecutionProvider" in text
        assert "fer-toolchain[gpu]" in text
        assert "--device cpu" in text

    @pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available")
    @pytest.mark.parametrize("device", ["cuda", "auto"])
    def test_silent_fall_back_is_an_error(self, tiny_onnx, monkeypatch, device):
        """We believe in CUDA, ONNX Runtime cannot start it: what a missing cuDNN looks like. The refusal is real."""
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime_device, "why_no_gpu", lambda: None)
        with pytest.raises(
            EngineError, match=r'CUDAExecutionProvider cannot run all of .*Fix: device="cpu" \(--device cpu\)'
        ):
            open_engine(tiny_onnx, device=device)

    def test_auto_without_a_gpu_takes_the_cpu_and_says_so_once(self, tiny_onnx, monkeypatch, caplog):
        """What onnxruntime-gpu is on a machine without a GPU."""
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime_device, "why_no_gpu", lambda: "no NVIDIA driver")
        onnxruntime_device._say_once.cache_clear()
        for _ in range(2):
            with open_engine(tiny_onnx) as engine:
                assert "CPUExecutionProvider" in engine.description
        assert caplog.messages == [
            "device auto: the CPU is used. This ONNX Runtime can use CUDA, but there is no GPU: no NVIDIA driver. "
            'Fix: device="cpu" (--device cpu) to choose the CPU explicitly; fer-deploy doctor says more'
        ]

    @pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not in available")
    def test_cuda_without_a_gpu_is_an_error(self, tiny_onnx, monkeypatch):
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime_device, "why_no_gpu", lambda: "no NVIDIA driver")
        with pytest.raises(
            EngineError, match=r'CUDAExecutionProvider cannot run all of .*Fix: device="cpu" \(--device cpu\)'
        ):
            open_engine(tiny_onnx, device="cuda")

    @pytest.mark.parametrize(
        ("init", "num", "reason"),
        [(0, 1, None), (0, 0, "the NVIDIA driver lists none"), (100, 0, "the NVIDIA driver answers with error 100")],
    )
    def test_a_gpu_is_what_the_driver_offers(self, monkeypatch, init, num, reason):
        def count(pointer):
            pointer._obj.value = num
            return 0

        driver = SimpleNamespace(cuInit=lambda flags: init, cuDeviceGetCount=count)
        monkeypatch.setattr("ctypes.CDLL", lambda name: driver)
        assert onnxruntime_device.why_no_gpu() == reason

    def test_no_driver_is_no_gpu(self, monkeypatch):
        def missing(name):
            raise OSError(f"{name}: cannot open shared object file")

        monkeypatch.setattr("ctypes.CDLL", missing)
        assert "no NVIDIA driver" in onnxruntime_device.why_no_gpu()

    @pytest.mark.parametrize("device", ["cpu", "auto"])
    def test_cpu(self, tiny_onnx, monkeypatch, device):
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
        with open_engine(tiny_onnx, device=device) as engine:
            assert engine.description == f"ONNX Runtime {ort.__version__}, CPUExecutionProvider, fp32"


def test_missing_onnxruntime_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, LEAF, raising=False)
    monkeypatch.delattr(engines_package, "onnxruntime", raising=False)
    with pytest.raises(MissingDependencyError, match=r"onnxruntime is not installed\. Fix: .*'fer-toolchain\[cpu\]'"):
        open_engine(path)


def test_a_path_with_spaces_and_umlauts(tiny_onnx, tmp_path):
    path = tmp_path / "mein Modell ä.onnx"
    shutil.copy(tiny_onnx, path)
    with open_engine(path, device="cpu") as engine:
        assert engine.spec.architecture == "nano"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": ""}, "the engine's path is empty. Fix: the path of a model, or None"),
        ({"path": 5}, "the engine is int, expected the path of a model. Fix: open_engine(PATH)"),
        ({"device": "gpu"}, "unknown device 'gpu'. Fix: one of auto, cpu, cuda, tensorrt, tensorrt-rtx, openvino"),
        ({"threads": "2"}, "threads is '2', expected a whole number. Fix: threads=1, or None"),
        ({"threads": 1.5}, "threads is 1.5, expected a whole number"),
    ],
    ids=str,
)
def test_arguments_of_another_kind(arguments, message):
    with pytest.raises(ConfigError) as caught:
        open_engine(**arguments)
    assert message in str(caught.value)


def test_what_an_engine_infers(tiny_onnx):
    with open_engine(tiny_onnx, device="cpu") as engine:
        for images in (None, [[1]], np.zeros((1, 1, 48, 48)), np.zeros((48, 48), np.uint8)):
            with pytest.raises(EngineError, match=r"Fix: an array of uint8 and shape \(N, 1, \d+, \d+\); Recognizer"):
                engine.infer(images)


def test_a_missing_folder_is_made_by_export_and_measured(tmp_path):
    with pytest.raises(ArtifactError) as caught:
        open_engine(tmp_path / "models")
    assert f"--out {tmp_path}/models, then fer-deploy bench {tmp_path}/models" in str(caught.value)
