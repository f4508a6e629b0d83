"""ONNX Runtime's telemetry is off before ONNX Runtime is imported."""

import re
import sys
from types import SimpleNamespace

import pytest

from fer_deploy.privacy import telemetry

_IMPORTS = re.compile(r"^\s*(?:import|from) onnxruntime", re.MULTILINE)


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


def test_nothing_but_fer_deploy_imports_onnxruntime(repo_dir):
    """A module of fer_deploy is imported after `fer_deploy` itself, which has switched the telemetry off by then."""
    files = [path for name in ("fer_train", "benchmarks", "examples") for path in (repo_dir / name).rglob("*.py")]
    assert len(files) > 50
    assert [path.name for path in files if _IMPORTS.search(path.read_text())] == []
