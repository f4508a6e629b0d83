"""Real runs in an empty home folder: no file is left there, no name is asked, no machine is called."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LIVE = ("fer_deploy", "live", "--source", "synthetic", "--no-display", "--max-frames", "5", "--detector", "haar")
RUNS = {
    "live": LIVE,
    "doctor": ("fer_deploy", "doctor"),
    "train --help": ("fer_train", "train", "--help"),
}
_CALLS = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\([^\n]*AF_INET6?[^\n]*")
PROGRAM = """
import importlib.abc, os, sys

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "onnxruntime":
            print("at the import:", os.environ.get("ORT_DISABLE_TELEMETRY"), flush=True)

sys.meta_path.insert(0, Watch())
from fer_deploy.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_", "FER_"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def left_in(home: Path) -> list[str]:
    """Return the files; but not Matplotlib's list of the machine's fonts, which it keeps for its next start."""
    files = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
    return [str(path) for path in files if path.parts[1] != "matplotlib"]


@pytest.mark.parametrize("name", RUNS)
def test_no_file_in_the_home_folder(name, home, tmp_path):
    command = [sys.executable, "-m", *RUNS[name]]
    done = subprocess.run(
        command, env=environment(home), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert left_in(home) == []


def test_the_variable_is_set_before_onnxruntime_is_imported(home, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *LIVE[1:]],
        env=environment(home),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "at the import: 1\n" in done.stdout


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
@pytest.mark.parametrize("name", RUNS)
def test_no_name_is_asked_and_no_machine_is_called(name, home, tmp_path):
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=network", "-o", str(trace), sys.executable, "-m", *RUNS[name]]
    done = subprocess.run(
        command, env=environment(home), cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    if not trace.exists() or "PTRACE" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    assert _CALLS.findall(trace.read_text(errors="replace")) == []
    assert left_in(home) == []


def test_doctor_says_that_telemetry_is_off(home, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fer_deploy", "doctor"],
        env={**environment(home), "COLUMNS": "200", "ORT_DISABLE_TELEMETRY": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert re.search(r"telemetry +off \(ONNX Runtime and OpenVINO; fer-deploy sends nothing itself\)", done.stdout)
