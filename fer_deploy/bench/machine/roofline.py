"""How much of this machine an engine uses: the measured rates of products and copies, and the work in the graph.

The roof is FP32: numpy's matrix product on the same number of threads. INT8 and BF16 instructions can exceed it, and
then the share is above 1. The bytes are those that any runtime must move: the weights, the input and the output.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from fer_deploy.errors import EngineError

_LIMIT_S = 60.0
_LIBRARIES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fer_deploy.bench.processes.roof import main; main(int(sys.argv[2]))"
)


@dataclass(frozen=True)
class Roof:
    """Measured rates of this machine on `threads` threads.

    Attributes:
        threads: of the products, and of the copies.
        flops_per_s: of FP32 matrix products; an addition and a multiplication count as two.
        bytes_per_s: read and written by copies of arrays that no cache holds.
    """

    threads: int
    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class GraphWork:
    """Work of a graph, from its shapes.

    Attributes:
        multiply_adds: of convolutions and matrix products, for one image.
        weight_bytes: read once for a batch.
        image_bytes: input and output of one image.
    """

    multiply_adds: int
    weight_bytes: int
    image_bytes: int

    def attainable_per_s(self, batch: int, roof: Roof) -> float:
        """Return the images per second that the nearer of the two roofs allows."""
        by_products = roof.flops_per_s / (2 * self.multiply_adds)
        by_copies = roof.bytes_per_s / (self.weight_bytes / batch + self.image_bytes)
        return min(by_products, by_copies)


def graph_work(content: bytes) -> GraphWork | None:
    """Return the work of an ONNX file; None: some of its sizes are only known when it runs.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed. It infers the shapes.
    """
    measure: Callable[[bytes], tuple[int, int, int] | None]
    measure = import_module("fer_deploy.engines.onnx_file.work").work_of_one_image
    found = measure(content)
    return None if found is None or found[0] == 0 else GraphWork(*found)


def measure_roof(threads: int) -> Roof:
    """Measure both rates in a separate process, because numpy's BLAS fixes its threads when it is loaded.

    Raises:
        EngineError: the process failed or took longer than a minute.
    """
    command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), str(threads)]
    environment = os.environ | dict.fromkeys(_LIBRARIES, str(threads))
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=True, env=environment)
        found = json.loads(ended.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as err:
        raise EngineError(f"the rates of this machine could not be measured: {err}") from err
    return Roof(threads, **found)
