import ast
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from fer_train.cli import COMMANDS, main


def test_absent_torch_is_named_with_its_mend(monkeypatch):
    kept = ("fer_train.cli", "fer_train.errors")  # the group compares classes
    for name in [name for name in sys.modules if name.startswith("fer_train.") and name not in kept]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(main, ["evaluate", "--checkpoint", "a.safetensors", "--data", "fer2013.csv"])
    assert result.exit_code == 3
    assert "error: fer-train evaluate needs torch. Fix: make setup, or pip install" in result.output


def test_help_lists_every_command():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


POLICY_WHERE_TORCH_BEGINS = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("policy where torch begins:", os.environ.get("OMP_WAIT_POLICY"), flush=True)
            os._exit(2)
sys.meta_path.insert(0, Finder())
sys.argv = ["fer-train", "train", "--config", "absent.yaml", "--data", "absent.csv"]
runpy = __import__("runpy")
runpy.run_module("fer_train", run_name="__main__")
"""


@pytest.mark.parametrize(("given", "seen"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(given, seen):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    command = [sys.executable, "-c", POLICY_WHERE_TORCH_BEGINS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stdout.startswith(f"policy where torch begins: {seen}\n")


def test_help_and_version_load_no_heavy_package():
    script = (
        "import sys; from fer_train.cli import main; main(['{flag}'], standalone_mode=False); print(list(sys.modules))"
    )
    for flag in ("--help", "--version"):
        command = [sys.executable, "-c", script.format(flag=flag)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        loaded = ast.literal_eval(done.stdout.splitlines()[-1])
        assert {"torch", "numpy", "cv2", "sklearn", "pydantic"}.isdisjoint(loaded)


def test_a_training_process_loads_what_it_needs_at_its_start():
    script = "import sys, fer_train.cli.train; print(list(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout.splitlines()[-1]))
    assert {"sklearn", "pandas", "matplotlib", "tensorboard", "scipy.stats"}.isdisjoint(loaded)
