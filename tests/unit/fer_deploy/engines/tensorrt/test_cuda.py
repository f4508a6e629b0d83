import os
import subprocess
import sys

import numpy as np
import pytest
from unit.fer_deploy.engines.simulated_cuda import SimulatedCudart, cudaError_t

from fer_deploy.engines.tensorrt.cuda import Cuda, array_at
from fer_deploy.environment import Gpu
from fer_deploy.errors import EngineError


def test_gpu():
    assert Cuda(SimulatedCudart()).gpu() == Gpu("Simulated 3090", "8.6", 24 * 2**30)


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (cudaError_t.cudaErrorInsufficientDriver, "install an NVIDIA driver"),
        (cudaError_t.cudaErrorMemoryAllocation, "free memory on the GPU"),
        (cudaError_t.cudaErrorIllegalAddress, "fer-deploy doctor --json"),
    ],
)
def test_a_status_becomes_an_error(status, mend):
    runtime = SimulatedCudart()
    runtime.fail["cudaMalloc"] = (status, 0)
    with pytest.raises(EngineError) as caught:
        Cuda(runtime).new_device_memory(16)
    text = str(caught.value)
    assert text.startswith(f"cudaMalloc failed: {status.name} (meaning of {int(status)}).\n    Fix: ")
    assert mend in text


def test_capture_is_thread_local_and_leaves_no_graph():
    runtime = SimulatedCudart()
    cuda = Cuda(runtime)
    stream = cuda.new_stream()
    memory = cuda.new_pinned_memory(4)
    device = cuda.new_device_memory(4)
    graph = cuda.capture(stream, lambda: cuda.download(memory, device, 4, stream))
    assert runtime.capture_modes == [runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal]
    assert runtime.graphs == []
    cuda.fill(device, 7, 4, stream)
    cuda.launch(graph, stream)
    cuda.wait(stream)
    assert array_at(memory, (4,), np.uint8).tolist() == [7] * 4


@pytest.mark.parametrize("failing", ["cudaStreamEndCapture", "cudaGraphInstantiate"])
def test_failed_capture(failing):
    runtime = SimulatedCudart()
    runtime.fail[failing] = (cudaError_t.cudaErrorStreamCaptureInvalidated, 0)
    cuda = Cuda(runtime)
    with pytest.raises(EngineError, match=rf"{failing} failed: cudaErrorStreamCaptureInvalidated"):
        cuda.capture(cuda.new_stream(), lambda: None)
    assert runtime.graphs == runtime.instances == []


def test_a_refusal_during_a_capture_ends_it():
    """Else every later call on the stream would fail for another reason than the first."""
    cuda = Cuda(SimulatedCudart())
    stream = cuda.new_stream()

    def refuse():
        raise EngineError("refused")

    with pytest.raises(EngineError, match="refused"):
        cuda.capture(stream, refuse)
    cuda.wait(stream)


def test_array_is_a_view():
    values = np.arange(6, dtype=np.float32)
    view = array_at(values.ctypes.data, (2, 3), np.float32)
    view[1, 2] = 99
    assert values.tolist() == [0, 1, 2, 3, 4, 99]


REAL = """
from fer_deploy.engines.tensorrt.cuda import Cuda
from fer_deploy.errors import EngineError
for call in (Cuda().gpu, Cuda().new_stream, lambda: Cuda().new_pinned_memory(8), lambda: Cuda().new_device_memory(8)):
    try:
        call()
    except EngineError as err:
        print(str(err).replace(chr(10), " "))
"""


def test_the_real_runtime_without_a_gpu():
    """On a machine with one, CUDA_VISIBLE_DEVICES hides it."""
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", REAL], capture_output=True, text=True, env=hidden, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    names = ["cudaSetDevice", "cudaStreamCreateWithFlags", "cudaHostAlloc", "cudaMalloc"]
    assert [line.split()[0] for line in lines] == names
    for line in lines:
        assert "failed: cudaError" in line
        assert "Fix: install an NVIDIA driver that is new enough, or give an .onnx in the plan's place" in line
