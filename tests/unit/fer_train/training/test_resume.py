import json
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from fork_server.starter import ForkServer
from safetensors.torch import load_file
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_state, save_state
from fer_train.errors import CheckpointError
from fer_train.training.loop import fit

pytestmark = pytest.mark.usefixtures("narrow_net")
ONE_CYCLE = {"scheduler": {"name": "OneCycle"}}
PLATEAU = {"scheduler": {"name": "ReduceLROnPlateau", "patience": 0, "factor": 0.5}}
PHASES = {"size_phases": [{"until_epoch": 2, "image_size": 16}], "image_size": 24}


KILLED = {
    "OneCycle, first epoch": (ONE_CYCLE, "2", 0),
    "OneCycle, second epoch": (ONE_CYCLE | PHASES, "7", 1),
    "OneCycle, while the checkpoint is written": (ONE_CYCLE, "save2", 1),
    "ReduceLROnPlateau, first epoch": (PLATEAU, "3", 0),
    "ReduceLROnPlateau, third epoch": (PLATEAU | PHASES, "10", 2),
}
"""By name: what the config changes, where the run is killed (see killed_run.py), and how many epochs are finished."""


def run_script(server: ForkServer, name: str, *arguments: str) -> str:
    """Return what a script beside this file prints."""
    command = [*server.command("python"), str(Path(__file__).with_name(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def killed(tmp_path_factory, training_server) -> Path:
    """A folder in which each of `KILLED` has a folder, as SIGKILL left it."""
    folder = tmp_path_factory.mktemp("killed")
    runs = [(str(folder / name), changes, where) for name, (changes, where, _) in KILLED.items()]
    assert json.loads(run_script(training_server, "killed_run.py", json.dumps(runs))) == [-signal.SIGKILL] * len(runs)
    return folder


def assert_identical(a: object, b: object, path: str = "") -> None:
    assert type(a) is type(b), path
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a.keys() - {"seconds"}:  # the only thing that may differ: how long an epoch took
            assert_identical(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), path
        for i, pair in enumerate(zip(a, b, strict=True)):
            assert_identical(*pair, f"{path}[{i}]")
    else:
        assert a == b, path


def assert_same_run(one: Path, other: Path) -> None:
    assert_identical(load_state(one / "last.pt"), load_state(other / "last.pt"))
    for file in ("best.safetensors", "final.safetensors"):
        assert_identical(load_file(one / file), load_file(other / file))


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_killed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, killed, name):
    changes, _, epochs_kept = KILLED[name]
    out, whole = killed / name, tmp_path / "whole"
    assert (out / "last.pt").exists() == (epochs_kept > 0)
    if epochs_kept:
        assert load_state(out / "last.pt")["epoch"] == epochs_kept
    config = tiny_config(**changes)
    fit(config, make_faces(), out, resume=epochs_kept > 0)
    fit(config, make_faces(), whole)
    assert_same_run(out, whole)


@pytest.mark.slow
def test_run_killed_at_ten_random_moments_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, training_server):
    moments = json.loads(run_script(training_server, "killed_often.py", str(tmp_path), "10"))
    assert len(moments) == 10
    assert sum(moment["last.pt half-written"] for moment in moments) >= 1
    assert len({moment["epoch"] for moment in moments}) >= 3
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    assert sorted(p.name for p in (tmp_path / "killed").iterdir()) == [
        "best.safetensors",
        "config.yaml",
        "final.safetensors",
        "last.pt",
    ]


class Interrupted(Exception):
    """Raised in mid-epoch, in place of a signal."""


def stop_at(step_to_stop):
    def on_step(step, *_):
        if step == step_to_stop:
            raise Interrupted

    return on_step


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"precision": "bf16"}, id="bf16"),
        pytest.param({"ema_decay": 0.0, "channels_last": False}, id="no average"),
        pytest.param({"max_grad_norm": 0.5, "momentum": 0.0}, id="clipped, no momentum"),
        pytest.param({"model": "senet"}, id="senet"),
        pytest.param({"mix": {"mixup_alpha": 0.4, "cutmix_alpha": 1.0}}, id="mixing"),
        pytest.param({"optimizer": "AdamW", "scheduler": {"name": "Cosine", "warmup_epochs": 1.0}}, id="AdamW, Cosine"),
        pytest.param({"optimizer": "Muon", "model": "nano"}, id="Muon, nano"),
        pytest.param(
            {"optimizer": "Muon", "precision": "bf16", "scheduler": {"name": "Cosine", "warmup_epochs": 1.0}},
            id="Muon, bf16, Cosine",
        ),
        pytest.param({"quantization_aware": True}, id="quantization-aware"),
        pytest.param({"quantization_aware": True, "ema_decay": 0.0}, id="quantization-aware, no average"),
        pytest.param({"sampling": "balanced"}, id="balanced sampling"),
        pytest.param(
            {
                "augment": {
                    "flip": "alternating",
                    "blur_probability": 0.5,
                    "downscale_probability": 0.5,
                    "noise_probability": 0.5,
                    "fade_probability": 0.5,
                }
            },
            id="webcam, alternating flip",
        ),
        pytest.param(
            {"distillation": {"teachers": ["TEACHER"], "cached": True}, "mix": {"cutmix_alpha": 1.0}},
            id="distillation, cached, mixed",
        ),
        pytest.param({"distillation": {"teachers": ["TEACHER"]}}, id="distillation"),
    ],
)
def test_interrupted_run_ends_with_the_same_weights(tmp_path, monkeypatch, changes):
    monkeypatch.setattr("fer_train.training.loop.STEPS_PER_CHECK", 1)
    monkeypatch.setattr("fer_train.models.senet.STAGE_CHANNELS", (16, 16, 16, 16))
    if "distillation" in changes:
        fit(tiny_config(num_epochs=1, seed=8), make_faces(), tmp_path / "teacher")
        teacher = str(tmp_path / "teacher" / "best.safetensors")
        changes = changes | {"distillation": changes["distillation"] | {"teachers": [teacher]}}
    config = tiny_config(**changes)
    with pytest.raises(Interrupted):
        fit(config, make_faces(), tmp_path / "stopped", on_step=stop_at(6))
    torch.rand(3)  # whatever the process drew since must not matter
    fit(config, make_faces(), tmp_path / "stopped", resume=True)
    fit(config, make_faces(), tmp_path / "whole")
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_nothing_to_resume(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint to resume at .*last\.pt\. Fix: leave --resume out"):
        fit(tiny_config(), make_faces(), tmp_path, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    config = tiny_config(num_epochs=1)
    fit(config, make_faces(), tmp_path)
    before = (tmp_path / "last.pt").read_bytes()
    run = fit(config, make_faces(), tmp_path, resume=True)
    assert len(run.history) == 1
    assert (tmp_path / "last.pt").read_bytes() == before


def test_another_config_is_refused_with_the_difference(tmp_path):
    fit(tiny_config(num_epochs=1), make_faces(), tmp_path)
    with pytest.raises(CheckpointError) as caught:
        fit(tiny_config(num_epochs=1, learning_rate=0.01), make_faces(), tmp_path, resume=True)
    assert "belongs to a run of another config: learning_rate was 0.05 and is 0.01" in str(caught.value)
    assert "num_epochs" not in str(caught.value)


def test_a_run_of_a_release_that_knew_fewer_keys_goes_on(tmp_path):
    fit(tiny_config(num_epochs=1), make_faces(), tmp_path)
    state = load_state(tmp_path / "last.pt")
    del state["config"]["augment"]["downscale_probability"], state["config"]["mix"]
    save_state(tmp_path / "last.pt", state)
    assert fit(tiny_config(num_epochs=1), make_faces(), tmp_path, resume=True).epoch == 1
    changed = tiny_config(num_epochs=1, augment={"downscale_probability": 0.5})
    with pytest.raises(CheckpointError, match="another config: augment was"):
        fit(changed, make_faces(), tmp_path, resume=True)


def test_a_run_with_a_key_that_is_gone_is_refused_only_for_what_changed(tmp_path):
    fit(tiny_config(num_epochs=1), make_faces(), tmp_path)
    state = load_state(tmp_path / "last.pt")
    state["config"] |= {"gone": 1, "seed": 6}
    save_state(tmp_path / "last.pt", state)
    with pytest.raises(CheckpointError, match=r"another config: seed was 6 and is 5\. Fix"):
        fit(tiny_config(num_epochs=1), make_faces(), tmp_path, resume=True)


def test_another_device_may_go_on(tmp_path):
    fit(tiny_config(num_epochs=1, device="auto"), make_faces(), tmp_path)
    assert fit(tiny_config(num_epochs=1, device="cpu"), make_faces(), tmp_path, resume=True).epoch == 1


@pytest.mark.parametrize(
    "other", [make_faces(seed=1), make_faces(Training=48, PublicTest=21)], ids=["other source", "other rows"]
)
def test_other_data_are_refused(tmp_path, other):
    fit(tiny_config(num_epochs=1), make_faces(), tmp_path)
    with pytest.raises(CheckpointError, match="data"):
        fit(tiny_config(num_epochs=1), other, tmp_path, resume=True)


def test_other_precision_than_this_machine_has_is_refused(tmp_path):
    fit(tiny_config(num_epochs=1), make_faces(), tmp_path)
    save_state(tmp_path / "last.pt", load_state(tmp_path / "last.pt") | {"precision": "fp16"})
    with pytest.raises(CheckpointError, match=r"was trained in fp16, which cpu cannot continue\. Fix: resume it on"):
        fit(tiny_config(num_epochs=1), make_faces(), tmp_path, resume=True)


def test_auto_precision_stays_what_it_was_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_train.training.run.resolve_precision", lambda *_: "bf16")
    with pytest.raises(Interrupted):
        fit(tiny_config(precision="auto"), make_faces(), tmp_path, on_step=stop_at(8))
    monkeypatch.setattr("fer_train.training.run.resolve_precision", lambda *_: "fp32")
    run = fit(tiny_config(precision="auto"), make_faces(), tmp_path, resume=True)
    assert run.amp.precision == "bf16"


def test_damaged_checkpoint_is_refused_and_kept(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(CheckpointError, match="truncated or not a training state"):
        fit(tiny_config(), make_faces(), tmp_path, resume=True)
    assert (tmp_path / "last.pt").read_bytes() == b"PK\x03\x04 half"
