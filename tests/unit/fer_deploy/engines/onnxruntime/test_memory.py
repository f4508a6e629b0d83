import subprocess
import sys

import pytest

from fer_deploy.engines.onnxruntime.memory import available_bytes


@pytest.mark.parametrize(
    ("meminfo", "limit", "expected"),
    [
        ("MemTotal:       24576 kB\nMemFree: 1 kB\n", None, 24576 * 1024),
        ("MemTotal:       24576 kB\n", "1048576\n", 1048576),
        ("MemTotal:       24576 kB\n", "9999999999\n", 24576 * 1024),
        ("MemTotal:       24576 kB\n", "max\n", 24576 * 1024),
        (None, "1048576\n", 1048576),
        (None, None, None),
        ("MemFree: 1 kB\n", "", None),
        ("MemTotal:", None, None),
    ],
)
def test_available_bytes(tmp_path, meminfo, limit, expected):
    paths = tmp_path / "meminfo", tmp_path / "memory.max"
    for path, text in zip(paths, (meminfo, limit), strict=True):
        if text is not None:
            path.write_text(text)
    assert available_bytes(*paths) == expected


BOUNDED = """
import sys
from pathlib import Path
from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.engines.onnxruntime import memory as onnxruntime_memory
from fer_deploy.errors import EngineError
import numpy as np
onnxruntime_memory.available_bytes = lambda: 2 * 64 * 2**20
with open_engine(bundled_model(), device="cpu") as first, open_engine(bundled_model(), device="cpu") as second:
    print(onnxruntime_memory.bound_memory(), first.infer(np.zeros((1, 1, 48, 48), np.uint8)).shape)
    try:
        second.infer(np.zeros((2000, 1, 48, 48), np.uint8))
    except EngineError as err:
        print("is smaller than requested" in str(err))
"""


def test_all_networks_of_a_process_share_one_bound():
    done = subprocess.run([sys.executable, "-c", BOUNDED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["67108864 (1, 8)", "True"]
