import sys

import pytest

from fer_train import launch


def test_absent_torch_is_named_with_its_mend(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("fer_train.") and name != "fer_train.launch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit) as caught:
        launch.main()
    assert caught.value.code == 3
    assert "error: fer-train needs torch. Fix: make setup, or pip install" in capsys.readouterr().err
