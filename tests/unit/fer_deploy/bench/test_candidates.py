from dataclasses import replace

import pytest
from unit.fer_deploy.bench.results import artifact

from fer_deploy.bench.candidates import RUNTIMES, Candidate, candidates_of, thread_counts
from fer_deploy.environment import Gpu, Host
from fer_deploy.flavors import Flavor

ARTIFACTS = [artifact(kind) for kind in ("fp32", "int8", "int8-cpu", "plan")]
GPU = Gpu("NVIDIA Test", "9.0", 2**30)


class Machine:
    """What `candidates_of` asks of an Environment."""

    def __init__(self, *, providers=("CPUExecutionProvider",), gpus=(), tensorrt=()):
        self.onnxruntime_providers = providers
        self.host = Host("linux", "x86_64", dict.fromkeys(tensorrt, "11.0"), gpus)


def found_on(machine, **options):
    found, skipped = candidates_of(ARTIFACTS, machine, **{"cores": 2, **options})
    return [one.name for one in found], {one.what: one.reason for one in skipped}


def test_a_machine_without_a_gpu():
    found, skipped = found_on(Machine())
    assert found == [
        "net-fp32.onnx, ONNX Runtime, 1 thread",
        "net-fp32.onnx, ONNX Runtime, 2 threads",
        "net-fp32.onnx, ONNX Runtime, 2 threads, spinning",
        "net-int8-cpu.onnx, ONNX Runtime, 1 thread",
        "net-int8-cpu.onnx, ONNX Runtime, 2 threads",
        "net-int8-cpu.onnx, ONNX Runtime, 2 threads, spinning",
    ]
    assert skipped == {
        "ONNX Runtime CUDA": "no NVIDIA GPU",
        "TensorRT": "no NVIDIA GPU",
        "net-int8.onnx": "it is the INT8 graph for TensorRT, slower than fp32 on a CPU; int8-cpu is the one for CPUs",
        "net-plan.plan": "TensorRT cannot run here: no NVIDIA GPU",
    }


def test_a_gpu_runs_plans_and_floats():
    providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    found, skipped = found_on(Machine(providers=providers, gpus=(GPU,), tensorrt=(Flavor.TENSORRT,)))
    assert "net-fp32.onnx, ONNX Runtime CUDA" in found
    assert "net-plan.plan, TensorRT" in found
    assert "net-int8-cpu.onnx, ONNX Runtime CUDA" not in found
    assert list(skipped) == ["net-int8.onnx"]


def test_a_gpu_without_the_packages():
    _, skipped = found_on(Machine(gpus=(GPU,)))
    assert "Fix: pip uninstall onnxruntime; pip install 'fer-toolchain[gpu]'" in skipped["ONNX Runtime CUDA"]
    assert skipped["TensorRT"] == "TensorRT is not installed. Fix: pip install 'fer-toolchain[tensorrt]'"


def test_without_any_runtime():
    found, skipped = found_on(Machine(providers=()))
    assert found == []
    assert skipped["ONNX Runtime"] == "ONNX Runtime is not installed. Fix: pip install 'fer-toolchain[cpu]'"


def test_one_device_only():
    found, skipped = found_on(Machine(), device="cuda")
    assert found == []
    assert skipped["net-fp32.onnx"] == "ONNX Runtime CUDA cannot run here: no NVIDIA GPU"
    _, skipped = found_on(Machine(), device="tensorrt")
    assert skipped["net-fp32.onnx"] == "no engine has the device tensorrt"


@pytest.mark.parametrize(("cores", "expected"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])])
def test_numbers_of_threads(cores, expected):
    assert thread_counts(cores) == expected


def test_a_candidate_survives_json(tmp_path):
    candidate = Candidate(tmp_path / "a.onnx", "tensorrt", None, False)
    assert Candidate.of_dict(candidate.to_dict()) == candidate
    assert candidate.device == RUNTIMES["tensorrt"].device == "cuda"


def test_a_runtime_that_is_not_installed_is_an_error_of_opening(monkeypatch):
    monkeypatch.setitem(RUNTIMES, "tensorrt", replace(RUNTIMES["tensorrt"], module="no.such.module"))
    Candidate(None, "tensorrt", None, False).load_runtime()  # raises nothing
