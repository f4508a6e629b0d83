import json

import pytest
import torch
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_release, read_spec_json
from fer_train.errors import CheckpointError, ConfigError
from fer_train.training.loop import fit
from fer_train.training.run import build_run

pytestmark = pytest.mark.usefixtures("narrow_net")


@pytest.fixture
def parent(tmp_path):
    fit(tiny_config(num_epochs=1), make_faces(), tmp_path / "parent")
    return tmp_path / "parent" / "best.safetensors"


def test_run_starts_from_the_weights_of_the_release(parent):
    run = build_run(tiny_config(init=str(parent), seed=9), steps_per_epoch=4)
    wanted = load_release(parent)[0].state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in run.model.state_dict().items())
    assert run.ema is not None
    assert all(torch.equal(value, wanted[name]) for name, value in run.ema.module.state_dict().items())


def test_release_names_its_ancestor(parent, tmp_path):
    fit(tiny_config(num_epochs=1, init=str(parent)), make_faces(), tmp_path / "child")
    child = json.loads(read_spec_json(tmp_path / "child" / "best.safetensors"))["provenance"]
    assert child["config"]["init"] == parent.name  # no folder of this machine
    assert child["init"] == json.loads(read_spec_json(parent))["provenance"]


def test_other_number_of_classes_is_refused(parent):
    fault = r"has the labels angry, .*; class_0, .* are needed\. Fix: num_classes and labels as it has them, or leave"
    with pytest.raises(ConfigError, match=fault):
        build_run(tiny_config(init=str(parent), num_classes=9), steps_per_epoch=4)


def test_absent_release_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        build_run(tiny_config(init=str(tmp_path / "none.safetensors")), steps_per_epoch=4)
