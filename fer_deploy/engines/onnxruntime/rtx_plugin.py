"""Plugin of TensorRT for RTX in ONNX Runtime, registered once in a process. It needs an NVIDIA driver to load."""

from collections.abc import Sequence
from typing import Any

import onnxruntime as ort
import onnxruntime_ep_nv_tensorrt_rtx as plugin
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from fer_deploy.errors import EngineError, argument


def rtx_devices() -> Sequence[Any]:
    """Return the first GPU that the plugin supports, for `add_provider_for_devices`.

    Raises:
        EngineError: the plugin does not load (no driver), or finds no GPU that it supports.
    """
    name = plugin.get_ep_name()
    found = _devices(name)
    if not found:
        try:
            ort.register_execution_provider_library(name, plugin.get_library_path())
        except (ort_errors.Fail, RuntimeError) as err:
            raise EngineError(
                f"cannot load {name}: {str(err).splitlines()[0][-200:]}. "
                f"Fix: install the NVIDIA driver, or {argument('device', 'cpu')}"
            ) from err
        found = _devices(name)
    if not found:
        raise EngineError(
            f"{name} supports no GPU of this machine; it runs on GeForce RTX and RTX workstation GPUs. "
            f"Fix: {argument('device', 'cuda')}, or a plan of TensorRT"
        )
    return found[:1]


def _devices(name: str) -> list[Any]:
    return [device for device in ort.get_ep_devices() if device.ep_name == name]
