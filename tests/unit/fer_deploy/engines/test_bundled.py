import onnxruntime as ort
import pytest

from fer_deploy.engines import open_engine
from fer_deploy.engines.bundled import bundled_model_for, has_integer_products
from fer_deploy.engines.onnxruntime import device as onnxruntime_device
from fer_deploy.spec import Precision

VNNI = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"
AVX2 = "processor\t: 0\nflags\t\t: fpu avx2\n"
OLD = "processor\t: 0\nflags\t\t: fpu sse4_2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\n"


@pytest.fixture
def cpu(tmp_path):
    def write(text: str):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(("text", "has"), [(VNNI, True), (AVX2, True), (ARM, True), (OLD, False), ("", False)])
def test_integer_products(cpu, text, has):
    assert has_integer_products(cpu(text)) is has


def test_a_system_that_tells_nothing_has_none(tmp_path):
    assert has_integer_products(tmp_path / "none") is False


@pytest.mark.parametrize(
    ("device", "providers", "text", "name"),
    [
        ("cpu", ["CPUExecutionProvider"], VNNI, "senet-ferplus-int8-cpu.onnx"),
        ("cpu", ["CPUExecutionProvider"], OLD, "senet-ferplus-fp16.onnx"),
        ("auto", ["CPUExecutionProvider"], VNNI, "senet-ferplus-int8-cpu.onnx"),
        ("auto", ["CUDAExecutionProvider", "CPUExecutionProvider"], VNNI, "senet-ferplus-fp16.onnx"),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"], VNNI, "senet-ferplus-fp16.onnx"),
    ],
)
def test_the_model_fits_the_device(monkeypatch, cpu, device, providers, text, name):
    monkeypatch.setattr(ort, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime_device, "why_no_gpu", lambda: None)
    assert bundled_model_for(device, cpu_info=cpu(text)).name == name


def test_the_bundled_int8_model_says_what_it_is(cpu):
    with open_engine(bundled_model_for("cpu", cpu_info=cpu(VNNI)), device="cpu") as engine:
        assert engine.spec.precision is Precision.INT8
        assert engine.spec.labels[3] == "happy"


def test_without_a_gpu_auto_is_the_cpus_model(monkeypatch, cpu):
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime_device, "why_no_gpu", lambda: "no NVIDIA driver")
    assert bundled_model_for("auto", cpu_info=cpu(VNNI)).name == "senet-ferplus-int8-cpu.onnx"
