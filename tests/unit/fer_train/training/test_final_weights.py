"""final.safetensors: the weights of a run's last epoch."""

import numpy as np
import pytest
import torch
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_release
from fer_train.evaluation.metrics import measure
from fer_train.release.card import WeightsFile, write_card
from fer_train.training.loop import fit

pytestmark = pytest.mark.usefixtures("narrow_net")


@pytest.fixture
def faces():
    return make_faces()


def falling_accuracy():
    return lambda run, _: {"loss": 1.0, "accuracy": 1 - run.epoch / 10, "f1": 0.0, "precision": 0.0, "recall": 0.0}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_final_are_the_weights_of_the_last_epoch(tmp_path, faces, monkeypatch, ema_decay):
    monkeypatch.setattr("fer_train.training.loop._validate", falling_accuracy())
    run = fit(tiny_config(ema_decay=ema_decay), faces, tmp_path)
    model, spec = load_release(tmp_path / "final.safetensors")
    assert spec["metrics"] == run.history[-1]
    best, best_spec = load_release(tmp_path / "best.safetensors")
    assert best_spec["metrics"] == run.history[0]
    assert [spec["provenance"]["kept"], best_spec["provenance"]["kept"]] == ["final", "best"]
    for name, value in run.released.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert any(not torch.equal(best.state_dict()[name], value) for name, value in model.state_dict().items())


def test_a_finished_run_writes_its_final_weights_only_where_they_are_missing(tmp_path, faces):
    fit(tiny_config(), faces, tmp_path)
    final = tmp_path / "final.safetensors"
    written = final.read_bytes()
    final.write_bytes(b"mine")
    fit(tiny_config(), faces, tmp_path, resume=True)
    assert final.read_bytes() == b"mine"
    final.unlink()
    fit(tiny_config(), faces, tmp_path, resume=True)
    assert len(final.read_bytes()) == len(written)
    final.write_bytes(b"of another run")
    (tmp_path / "last.pt").unlink()
    fit(tiny_config(), faces, tmp_path)
    load_release(final)


def test_the_card_names_the_file_that_was_released(tmp_path, faces):
    fit(tiny_config(), faces, tmp_path)
    labels = np.arange(7)
    for kept, did in (("final", "helped to choose the recipe"), ("best", "chose the epoch")):
        spec = load_release(tmp_path / f"{kept}.safetensors")[1]
        spec["metrics"] = {"PublicTest": {"plain": measure(np.eye(7, dtype=np.float32), labels).to_dict()}}
        write_card(tmp_path / "net.md", spec, WeightsFile("net.safetensors", 1, 1, "float16"), notes="")
        text = (tmp_path / "net.md").read_text()
        assert f"fer-train release --checkpoint runs/net/{kept}.safetensors " in text
        assert f"PublicTest {did} and was the validation split" in text
