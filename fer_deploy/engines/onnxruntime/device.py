"""Choose the device of ONNX Runtime: the requested one, or the best that this build and this machine have."""

import ctypes
import logging
import platform
import sys
from contextlib import redirect_stdout
from functools import cache
from types import MappingProxyType

import onnxruntime as ort

from fer_deploy.engines.base import Device, require_device
from fer_deploy.errors import EngineError, argument

PROVIDERS: MappingProxyType[str, str] = MappingProxyType(
    {
        "cpu": "CPUExecutionProvider",
        "cuda": "CUDAExecutionProvider",
        "tensorrt": "TensorrtExecutionProvider",
        "tensorrt-rtx": "NvTensorRTRTXExecutionProvider",
    }
)
_log = logging.getLogger(__name__)


def choose_device(device: Device) -> str:
    """Return the device, with "auto" resolved: CUDA if this build supports it and there is a GPU, else the CPU.

    If the build supports CUDA but the machine has no GPU, a warning reports once that the CPU is used. A GPU that does
    not work is an error later, not a silent fallback to the CPU.

    Raises:
        ConfigError: no such device.
        EngineError: this build of ONNX Runtime does not support it.
    """
    require_device(device)
    if device == "tensorrt-rtx":
        return device  # a plugin: available only after its registration
    available = ort.get_available_providers()
    if device == "auto":
        device = _automatic(tuple(available))
    if PROVIDERS[device] not in available:
        raise EngineError(
            f"device {device} needs {PROVIDERS[device]}; this ONNX Runtime build offers {', '.join(available)}. "
            "Fix: pip uninstall onnxruntime; pip install 'fer-toolchain[gpu]' - or " + argument("device", "cpu")
        )
    if device != "cpu" and hasattr(ort, "preload_dlls"):
        with redirect_stdout(sys.stderr):  # it prints the libraries that it does not find
            ort.preload_dlls(directory="")  # CUDA and cuDNN of the nvidia-* wheels, else of the system
    return device


def _automatic(available: tuple[str, ...]) -> Device:
    if PROVIDERS["cuda"] not in available:
        return "cpu"
    reason = why_no_gpu()
    if reason is None:
        return "cuda"
    _say_once(reason)
    return "cpu"


@cache
def _say_once(reason: str) -> None:
    _log.warning(
        "device auto: the CPU is used. This ONNX Runtime can use CUDA, but there is no GPU: %s. Fix: "
        "%s to choose the CPU explicitly; fer-deploy doctor says more",
        reason,
        argument("device", "cpu"),
    )


def why_no_gpu() -> str | None:
    """Return why the NVIDIA driver offers no GPU to this process, or None if it does."""
    name = "nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
        num = ctypes.c_int(0)
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(num))
    except (OSError, AttributeError):
        return f"no NVIDIA driver ({name} cannot be loaded)"
    if failed:
        return f"the NVIDIA driver answers with error {failed}"
    return None if num.value else "the NVIDIA driver lists none"
