import pytest
import torch
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.errors import ConfigError, DataError, MissingDependencyError
from fer_train.training.compiling import compile_errors
from fer_train.training.loop import fit

pytestmark = pytest.mark.usefixtures("narrow_net")


def broken(model, error):
    """In place of torch.compile: a network whose first step raises what inductor would."""

    class Broken(torch.nn.Module):
        def forward(self, _):
            raise error

    return Broken()


def fault(name, text):
    return type(name, (RuntimeError,), {"__module__": "torch._inductor.exc"})(text)


@pytest.mark.parametrize("name", ["InvalidCxxCompiler", "CppCompileError", "TritonMissing"])
def test_machine_without_a_compiler_is_told_what_to_install(tmp_path, monkeypatch, name):
    error = fault(name, "No working C++ compiler found\nmore")
    monkeypatch.setattr("torch.compile", lambda model: broken(model, error))
    with pytest.raises(MissingDependencyError) as caught:
        fit(tiny_config(compile=True), make_faces(), tmp_path / "out")
    assert str(caught.value) == (
        f"compile: true needs a working C++ compiler, and on a GPU Triton: {name}: No working C++ compiler found. "
        "Fix: apt-get install g++ (or set CXX to one), or compile: false"
    )
    assert caught.value.exit_code == 3


@pytest.mark.slow
def test_real_compiler_that_is_missing(tmp_path, monkeypatch):
    inductor = pytest.importorskip("torch._inductor.config")
    monkeypatch.setattr(inductor.cpp, "cxx", (None, str(tmp_path / "no-compiler")))
    monkeypatch.setattr(inductor, "fx_graph_cache", False)
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"No working C\+\+ compiler found .*no-compiler.*Fix: apt-get"):
        fit(tiny_config(compile=True), make_faces(), tmp_path / "out")


def test_network_that_cannot_be_compiled(tmp_path, monkeypatch):
    error = fault("LoweringException", "no such operator")
    monkeypatch.setattr("torch.compile", lambda model: broken(model, error))
    with pytest.raises(ConfigError) as caught:
        fit(tiny_config(compile=True), make_faces(), tmp_path / "out")
    assert str(caught.value) == (
        "compile: true: PyTorch cannot compile this network: LoweringException: no such operator. Fix: compile: false"
    )


def test_other_errors_pass():
    for error in (RuntimeError("other"), DataError("faces")):
        with pytest.raises(type(error)) as caught, compile_errors():
            raise error
        assert caught.value is error
