"""The telemetry of ONNX Runtime and of OpenVINO is off before they are imported."""

import re
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from fer_deploy.privacy import telemetry

_IMPORTS = re.compile(r"^\s*(?:import|from) (?:onnxruntime|openvino)", re.MULTILINE)


@pytest.mark.parametrize("value", [None, "0", "false", ""])
def test_a_value_of_the_users_own_does_not_turn_it_on(monkeypatch, value):
    if value is None:
        monkeypatch.delenv(telemetry.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(telemetry.VARIABLE, value)
    assert telemetry.state().startswith("on: ORT_DISABLE_TELEMETRY is ")
    telemetry.switch_off()
    assert telemetry.state() == "off"


def test_a_program_that_imported_onnxruntime_first(monkeypatch):
    calls = []
    module = SimpleNamespace(disable_telemetry_events=lambda: calls.append("off"))
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    telemetry.switch_off()
    assert calls == ["off"]


@pytest.mark.parametrize("module", [None, SimpleNamespace()])
def test_without_onnxruntime_or_its_switch(monkeypatch, module):
    if module is None:
        monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
    telemetry.switch_off()
    assert telemetry.state() == "off"


@pytest.mark.parametrize("before", [None, SimpleNamespace(name="a module that the program has imported")])
def test_openvino_finds_no_telemetry_package_and_the_program_finds_its_own(monkeypatch, before):
    if before is None:
        monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "openvino_telemetry", before)
    with telemetry.openvino_kept_silent(), pytest.raises(ImportError):
        import_module("openvino_telemetry")
    assert sys.modules.get("openvino_telemetry") is before


def test_nothing_but_fer_deploy_imports_onnxruntime_or_openvino(repo_dir):
    """A module of fer_deploy is imported after `fer_deploy` itself, which has switched the telemetry off by then.

    OpenVINO is imported by one module, which keeps it silent. Triton's server runs a backend in a Python of its own.
    """
    files = [path for name in ("fer_train", "benchmarks", "examples") for path in (repo_dir / name).rglob("*.py")]
    assert len(files) > 50
    assert [path.name for path in files if _IMPORTS.search(path.read_text())] == ["onnxruntime_backend.py"]
