import sys

from click.testing import CliRunner

from fer_train.cli import COMMANDS, main


def test_absent_torch_is_named_with_its_mend(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("fer_train.") and name != "fer_train.cli"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = CliRunner().invoke(main, ["evaluate"])
    assert result.exit_code == 3
    assert "error: fer-train evaluate needs torch. Fix: make setup, or pip install" in result.output


def test_help_lists_every_command():
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)
