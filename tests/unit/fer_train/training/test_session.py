"""A run under torchrun goes on by itself where it belongs to the same job."""

import pytest
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_state
from fer_train.errors import CheckpointError
from fer_train.training.loop import fit
from fer_train.training.session import train_one

pytestmark = pytest.mark.usefixtures("narrow_net")


def stop(_):
    raise KeyboardInterrupt


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A run of the job "a-job" that ended after its first epoch; torchrun counts no restart when nodes come or go."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a-job")
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny_config(), make_faces(), tmp_path / "out", on_epoch=stop)
    return tmp_path / "out"


@pytest.mark.slow
def test_the_same_job_goes_on(interrupted, caplog):
    caplog.set_level("INFO")
    run = train_one(tiny_config(), make_faces(), interrupted, tensorboard=False)
    assert "after epoch 1 of 3" in caplog.text
    assert run.epoch == load_state(interrupted / "last.pt")["epoch"] == 3


@pytest.mark.parametrize("job", ["another", "none"])
def test_another_job_is_asked_whether_it_means_that(interrupted, monkeypatch, job):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", job)
    with pytest.raises(CheckpointError, match=r"last\.pt exists. Fix: --resume to continue that run"):
        train_one(tiny_config(), make_faces(), interrupted, tensorboard=False)


@pytest.mark.slow
def test_a_restart_goes_on_without_a_name(interrupted, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train_one(tiny_config(), make_faces(), interrupted, tensorboard=False).epoch == 3


@pytest.mark.slow
def test_a_new_run_of_a_job_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a-job")
    assert train_one(tiny_config(num_epochs=1), make_faces(), tmp_path / "out", tensorboard=False).epoch == 1
