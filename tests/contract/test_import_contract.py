"""The runtime is light: what a camera needs, and no more."""

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "onnx", "onnxscript", "fer_train", "matplotlib", "safetensors", "sklearn")
UNUSED = {
    "scipy",
    "rich",
    "yaml",
    "urllib.request",
    "av",
    "PIL",
    "multiprocessing",
    "openvino",
    "pyarrow",
    "aiohttp",
    "fer_deploy.manifest",
    "fer_deploy.live.sources.stream",
    "fer_deploy.live.sources.picture_files.heic",
}
"""What a run on drawn faces without a window or files has no use for."""
RUNTIME = """
import importlib, importlib.util, json, pkgutil, sys
import fer_deploy.cli, fer_deploy.cli.live
for name in ("engines", "vision", "detectors", "live"):
    package = importlib.import_module(f"fer_deploy.{name}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name == "fer_deploy.engines.onnxruntime.rtx_plugin":  # imports a plugin that only its users install
            continue
        if module.name.startswith("fer_deploy.engines.openvino.") and importlib.util.find_spec("openvino") is None:
            continue
        importlib.import_module(module.name)
import fer_deploy.artifacts, fer_deploy.settings, fer_deploy.spec, fer_deploy.errors
print(json.dumps(sorted(sys.modules)))
"""
HELP = """
import contextlib, io, json, sys
from fer_deploy.cli import main
text = io.StringIO()
with contextlib.redirect_stdout(text):
    main({args}, standalone_mode=False)
assert "{expected}" in text.getvalue(), text.getvalue()
print(json.dumps(sorted(sys.modules)))
"""
LIVE = """
import contextlib, io, json, sys
from fer_deploy.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    main(["live", "--source", "synthetic", "--no-display", "--max-frames", "2"], standalone_mode=False)
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_runtime_modules():
    loaded = modules_after(RUNTIME)
    assert {"fer_deploy.engines.onnxruntime.engine", "fer_deploy.live.pipeline", "fer_deploy.vision.detector"} <= loaded
    assert not loaded & set(HEAVY)
    assert not any(name.startswith("fer_deploy.export") for name in loaded)


def test_a_whole_run_of_the_loop():
    loaded = modules_after(LIVE)
    assert "onnxruntime" in loaded
    assert not loaded & set(HEAVY)
    assert not loaded & UNUSED, "each costs a start milliseconds"


@pytest.mark.parametrize(("args", "expected"), [(["--help"], "camera, stream"), (["--version"], "version")])
def test_help_is_cheap(args, expected):
    loaded = modules_after(HELP.format(args=args, expected=expected))
    assert "fer_deploy.cli" in loaded
    assert not loaded & {"cv2", "onnxruntime", "numpy", *HEAVY}


def test_help_of_live_loads_no_backend():
    loaded = modules_after(HELP.format(args=["live", "--help"], expected="--max-frames"))
    assert not loaded & {"onnxruntime", *HEAVY}


def test_help_of_analyze_loads_no_backend():
    loaded = modules_after(HELP.format(args=["analyze", "--help"], expected="--restart"))
    assert not loaded & {"onnxruntime", "pyarrow", "jinja2", *HEAVY}
