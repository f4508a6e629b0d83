import sys

import pytest
from click.testing import CliRunner

from fer_deploy.artifacts import bundled_model
from fer_deploy.cli import main
from fer_deploy.errors import MissingDependencyError
from fer_deploy.export.plan.module import load_tensorrt
from fer_deploy.flavors import Flavor


@pytest.mark.parametrize("flavor", Flavor)
def test_not_installed(monkeypatch, flavor):
    monkeypatch.setitem(sys.modules, flavor.module, None)
    with pytest.raises(MissingDependencyError) as caught:
        load_tensorrt(flavor)
    assert f"needs the package {flavor.module}, which is not installed" in str(caught.value)
    assert f"Fix: pip install 'fer-toolchain[{flavor.extra}]'" in str(caught.value)


def test_installed_without_its_libraries(monkeypatch, tmp_path):
    """As NVIDIA's bindings are without the wheel of the libraries."""
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.11: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"installed, but does not load: libnvinfer\.so\.11.*Fix: pip"):
        load_tensorrt(Flavor.TENSORRT)


def test_exit_code(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    args = ["build", "--onnx", bundled_model(), "--out", tmp_path / "a.plan"]
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 3
    assert "pip install 'fer-toolchain[tensorrt]'" in result.stderr
    assert list(tmp_path.iterdir()) == []
