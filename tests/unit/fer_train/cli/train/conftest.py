"""Data, flags and a teacher for the commands that train."""

import signal

import pytest
import yaml
from unit.fer_train.cli.train.train_cases import run
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Leave history.png out: it takes longer than the run. test_cli.py has it."""
    monkeypatch.setattr("fer_train.evaluation.plots.plot_history", lambda *_: None)
    monkeypatch.setattr("fer_train.training.session._plot_final", lambda *_: None)


@pytest.fixture(autouse=True)
def same_handler():
    """Signals do what they do in a terminal: the background of a shell ignores SIGINT, and nohup ignores SIGHUP."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("data") / "fer2013.csv", make_faces())


@pytest.fixture
def flags(tmp_path, data):
    """Return the flags of a tiny run into tmp_path/out."""

    def with_config(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(tiny_config(**({"num_epochs": 2} | changes)).model_dump(mode="json")))
        return ["--config", path, "--data", data, "--out", tmp_path / "out", "--no-tensorboard"]

    return with_config


@pytest.fixture
def teacher(tmp_path, flags):
    run("train", *flags(num_epochs=1), "--out", tmp_path / "teacher")
    return tmp_path / "teacher" / "best.safetensors"
