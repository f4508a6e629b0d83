"""A real plan, built by TensorRT for RTX, on a machine whose GPU is hidden or absent: as far as it goes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fer_deploy.artifacts import bundled_model
from fer_deploy.export.plan.build import build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import manifest_path

CLI = "from fer_deploy.cli import main; main()"
DESERIALIZE = """
import sys
from pathlib import Path
import tensorrt_rtx
from fer_deploy.engines.tensorrt.loading import CapturedLog, deserialize
from fer_deploy.errors import EngineError
path = Path(sys.argv[1])
try:
    deserialize(tensorrt_rtx, path.read_bytes(), CapturedLog(tensorrt_rtx), where=path, allow_host_code=False)
except EngineError as err:
    print(err)
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "senet-ferplus-fp16.plan"
    build_plan(bundled_model(), path, BuildConfig(flavor=Flavor.TENSORRT_RTX))
    return path


def without_gpu(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run Python with CUDA_VISIBLE_DEVICES empty, so that a machine with a GPU says the same."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )


def live(path: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return without_gpu(
        CLI, "live", "--source", "synthetic", "--no-display", "--max-frames", 2, "--engine", path, *flags
    )


def test_tensorrt_itself_refuses_and_its_reason_is_told(plan):
    """The judgement is left out here: this is the error of a plan that passes it and does not load all the same."""
    done = without_gpu(DESERIALIZE, plan)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"cannot load {plan}: .*Cuda Runtime .*cudaError \d+: ", done.stdout)
    assert "    Fix: fer-deploy doctor shows driver and GPU; build the plan again on this machine" in done.stdout


def test_a_flipped_byte_in_the_middle_of_weights_reaches_no_deserializer(plan, tmp_path):
    changed = bytearray(plan.read_bytes())
    changed[len(changed) // 2] ^= 0x10
    copy = tmp_path / plan.name
    copy.write_bytes(bytes(changed))
    manifest_path(copy).write_bytes(manifest_path(plan).read_bytes())
    done = live(copy)
    assert done.returncode == 4
    assert "its SHA-256 is " in done.stderr
    assert "Fix: copy both files again, or build the plan with fer-deploy build; --trust-plan" in done.stderr


def test_live_says_that_there_is_no_gpu(plan):
    done = live(plan)
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith(f"error: cannot load {plan}: built for sm_")
    assert "; this machine has no NVIDIA GPU.\n    Fix: run it where nvidia-smi lists a GPU, or give" in done.stderr
    assert "cudaSetDevice failed: cudaError" in done.stderr
    assert "Traceback" not in done.stderr


def test_live_on_another_version(plan, tmp_path):
    copy = tmp_path / plan.name
    copy.write_bytes(plan.read_bytes())
    manifest = json.loads(manifest_path(plan).read_text()) | {"version": "1.6.0.1"}
    manifest_path(copy).write_text(json.dumps(manifest))
    done = live(copy)
    assert done.returncode == 7
    assert "built with TensorRT for RTX 1.6.0.1 for sm_" in done.stderr
    assert "; this machine has TensorRT for RTX 1." in done.stderr


def test_live_without_a_manifest(plan, tmp_path):
    copy = tmp_path / plan.name
    copy.write_bytes(plan.read_bytes())
    done = live(copy)
    assert done.returncode == 4
    assert "has no senet-ferplus-fp16.plan.json beside it" in done.stderr


def test_inspect_tells_what_the_build_wrote(plan):
    done = without_gpu(CLI, "inspect", plan, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["manifest"] == {
        key: value for key, value in json.loads(manifest_path(plan).read_text()).items() if key != "spec"
    }
    assert found["is_the_built_file"] is True
    assert found["spec"]["architecture"] == "senet"
    assert found["bytes"] == plan.stat().st_size
