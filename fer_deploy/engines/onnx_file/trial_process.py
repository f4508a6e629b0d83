"""Process of `trial`: load and run an ONNX file for the first time. The file comes through standard input."""

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
    """Load and run the file. Return even if ONNX Runtime refuses it; the parent reports the error when it loads it."""
    if hasattr(signal, "setitimer"):  # the system ends this process, even if its parent was killed
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
    """Return one input of zeros; raises TypeError or ValueError for types and sizes that NumPy does not support."""
    return {
        name: np.zeros([free_size if side is None else side for side in info.shape], dtype=info.dtype)
        for name, info in network.inputs.items()
    }
