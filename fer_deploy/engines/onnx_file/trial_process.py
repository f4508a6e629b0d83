"""The process in which `onnx_trial` runs an ONNX file for the first time. The file comes through its standard input."""

import signal
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from fer_deploy.engines.network import Tensors
from fer_deploy.engines.onnxruntime.network import OnnxRuntimeNetwork
from fer_deploy.engines.onnxruntime.session import ORT_ERRORS, SessionRequest, cpu_session
from fer_deploy.errors import EngineError


def main(orders: Mapping[str, Any]) -> None:
    """Load and run what comes; returns also where ONNX Runtime refuses it, for the next one who loads it to say."""
    if hasattr(signal, "setitimer"):  # the system ends this process, also where its parent was killed
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, orders["limit_s"])
    content = sys.stdin.buffer.read()
    request = SessionRequest("cpu", orders["threads"], optimized=orders["optimized"])
    try:
        network = OnnxRuntimeNetwork(cpu_session(content, request))
        for size in orders["sizes"]:
            network.run(_zeros(network, size))
    except (*ORT_ERRORS, EngineError, RuntimeError, MemoryError, TypeError, ValueError):
        return


def _zeros(network: OnnxRuntimeNetwork, free_size: int) -> Tensors:
    """Return one input; TypeError or ValueError for types and sizes that NumPy does not have."""
    return {
        name: np.zeros([free_size if side is None else side for side in info.shape], dtype=info.dtype)
        for name, info in network.inputs.items()
    }
