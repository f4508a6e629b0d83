"""Process of `roofline.measure_roof`: measures FP32 matrix products and copies, and prints the rates as JSON."""

import json
from functools import partial

import numpy as np

from fer_deploy.bench.windows import QUICK, Repeated, Together, Workload, measure

SIDE = 1024
"""Of the square matrices: three of them are 12 MB."""
COPIED = 32 * 2**20
"""Bytes of an array; each thread has two, which no cache of these machines holds beside the others."""


def main(threads: int) -> None:
    """Print an object with `flops_per_s` and `bytes_per_s`: the best window of each."""
    found = {"flops_per_s": best_rate(products()), "bytes_per_s": best_rate(copies(threads))}
    print(json.dumps(found))  # noqa: T201 - read by the parent


def products(side: int = SIDE) -> Workload:
    """Return FP32 products of square matrices; its items are floating-point operations."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    out = np.empty((side, side), dtype=np.float32)
    return Repeated(lambda: np.matmul(a, b, out=out), items=2 * side**3)


def copies(threads: int, num_bytes: int = COPIED) -> Workload:
    """Return one copy on each thread; its items are bytes that are read or written."""
    pairs = [(np.zeros(num_bytes, np.uint8), np.ones(num_bytes, np.uint8)) for _ in range(threads)]
    return Together([partial(np.copyto, to, of) for to, of in pairs], items=2 * num_bytes)


def best_rate(workload: Workload) -> float:
    """Return the items per second of the fastest window."""
    return max(window.per_s for window in measure(workload, QUICK).windows)
