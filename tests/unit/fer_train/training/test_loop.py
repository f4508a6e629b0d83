import dataclasses
import errno
import json
import math
import os

import numpy as np
import pytest
import torch
import yaml
from unit.fer_train.synthetic_faces import NO_AUGMENT, make_faces, tiny_config

import fer_train.checkpoint
import fer_train.training.loop
from fer_train.checkpoint import load_release, load_state, read_spec_json
from fer_train.config_file import config_from_dict
from fer_train.data.loader import EpochBatches
from fer_train.errors import CheckpointError, ConfigError, DivergenceError, OutOfMemoryError, SplitAbsentError
from fer_train.evaluation.evaluate import evaluate
from fer_train.training.loop import fit

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")
KEYS = {
    "epoch",
    "learning_rate",
    "train_loss",
    "train_accuracy",
    "loss",
    "accuracy",
    "f1",
    "precision",
    "recall",
    "seconds",
}


@pytest.fixture
def faces():
    return make_faces()


def test_each_epoch_is_reported_and_written(tmp_path, faces):
    rows, steps = [], []
    run = fit(tiny_config(), faces, tmp_path, on_epoch=rows.append, on_step=lambda *step: steps.append(step))
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert all(set(row) == KEYS for row in rows)
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert run.history == rows == load_state(tmp_path / "last.pt")["history"]
    assert [step[:2] for step in steps] == [(4, 12), (8, 12), (12, 12)]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.safetensors",
        "config.yaml",
        "final.safetensors",
        "last.pt",
    ]


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_best_is_the_epoch_with_the_highest_validation_accuracy(tmp_path, faces, ema_decay):
    run = fit(tiny_config(ema_decay=ema_decay, num_epochs=4), faces, tmp_path)
    model, spec = load_release(tmp_path / "best.safetensors")
    best = max(run.history, key=lambda row: row["accuracy"])
    assert spec["metrics"] == best
    validation = faces.select(faces.splits == "PublicTest").resized(16)
    assert evaluate(model, validation, device=CPU).accuracy == pytest.approx(best["accuracy"])


def test_it_learns_what_can_be_learned(tmp_path):
    config = tiny_config(num_epochs=12, learning_rate=0.2, augment=NO_AUGMENT, image_size=24, dropout=0.0)
    faces = make_faces(num_classes=2, Training=128, PublicTest=20)
    faces.images[faces.labels == 1, :, :24] //= 4
    assert fit(config, faces, tmp_path).history[-1]["accuracy"] > 0.9


def test_the_resolved_config_is_written_and_reads_back(tmp_path, faces):
    config = tiny_config(num_epochs=1, size_phases=[])
    fit(config, faces, tmp_path)
    assert config_from_dict(yaml.safe_load((tmp_path / "config.yaml").read_text()), where="") == config


def test_same_seed_same_weights_other_seed_others(tmp_path, faces):
    runs = [fit(tiny_config(num_epochs=1, seed=seed), faces, tmp_path / str(i)) for i, seed in enumerate((1, 1, 2))]
    first, again, other = (torch.cat([p.flatten() for p in run.model.parameters()]) for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_validation_sees_the_image_size_of_the_config(tmp_path, faces, monkeypatch):
    sides = set()

    def spy(model, *args, **kwargs):
        handle = model.register_forward_pre_hook(lambda _, inputs: sides.add(inputs[0].shape[-1]))
        try:
            return evaluate(model, *args, **kwargs)
        finally:
            handle.remove()

    monkeypatch.setattr("fer_train.training.loop.evaluate", spy)
    fit(tiny_config(num_epochs=1, image_size=32), faces, tmp_path)
    assert sides == {32}


def test_an_occupied_folder_is_refused_and_left_alone(tmp_path, faces):
    (tmp_path / "last.pt").write_bytes(b"precious")
    with pytest.raises(CheckpointError, match=r"last\.pt exists\. Fix: --resume to continue that run, or another"):
        fit(tiny_config(), faces, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]
    assert (tmp_path / "last.pt").read_bytes() == b"precious"


def test_out_that_is_a_file_is_a_clear_error(tmp_path, faces):
    out = tmp_path / "out"
    out.write_text("a file")
    with pytest.raises(CheckpointError, match=r"cannot write .*config\.yaml"):
        fit(tiny_config(), faces, out)


@pytest.mark.parametrize("absent", ["Training", "PublicTest"])
def test_absent_split(tmp_path, absent):
    there = {"Training": 32, "PublicTest": 7, "PrivateTest": 7}
    del there[absent]
    with pytest.raises(SplitAbsentError, match=f"no split '{absent}'"):
        fit(tiny_config(), make_faces(**there), tmp_path)


def test_training_split_smaller_than_a_batch(tmp_path):
    with pytest.raises(ConfigError, match=r"batch_size is 16 but Training has 15 faces\. Fix: a smaller batch_size"):
        fit(tiny_config(), make_faces(Training=15, PublicTest=7), tmp_path)


@pytest.mark.parametrize("split", ["Training", "PublicTest"])
def test_label_beyond_num_classes(tmp_path, split):
    faces = make_faces(num_classes=3)
    faces.labels[(faces.splits == split).nonzero()[0][0]] = 6
    with pytest.raises(ConfigError, match=r"num_classes is 3 but the data have label 6\. Fix: num_classes: 7"):
        fit(tiny_config(num_classes=3), faces, tmp_path)


def test_nan_loss_stops_and_keeps_the_checkpoint_of_the_epoch_before(tmp_path, faces, monkeypatch):
    healthy = EpochBatches.epoch

    def poisoned(self, epoch):
        for batch in healthy(self, epoch):
            yield batch._replace(images=batch.images * (math.nan if epoch == 1 else 1.0))

    monkeypatch.setattr(EpochBatches, "epoch", poisoned)
    with pytest.raises(DivergenceError) as caught:
        fit(tiny_config(), faces, tmp_path)
    assert "the loss became nan in epoch 2, by step 4" in str(caught.value)
    assert "Fix: start again with a lower learning_rate, or set max_grad_norm" in str(caught.value)
    state = load_state(tmp_path / "last.pt")
    assert state["epoch"] == 1
    assert all(value.isfinite().all() for value in state["model"].values())
    load_release(tmp_path / "best.safetensors")


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_divergence_in_the_last_step_of_an_epoch_writes_no_checkpoint(tmp_path, faces, ema_decay):
    config = tiny_config(learning_rate=1e30, batch_size=64, ema_decay=ema_decay)  # one step an epoch
    with pytest.raises(DivergenceError):
        fit(config, faces, tmp_path)
    assert not (tmp_path / "last.pt").exists()
    assert not (tmp_path / "best.safetensors").exists()


MEMORY_ENDS = [
    pytest.param(lambda: torch.empty(2**60), "can't allocate memory", id="more than the machine has"),
    pytest.param(
        lambda: raise_(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")),
        "CUDA out of",
        id="more than the GPU has",
    ),
    pytest.param(lambda: raise_(MemoryError()), "MemoryError", id="more than Python gets"),
]


def raise_(error):
    raise error


def fail_in_epoch_2(monkeypatch, fail):
    train_step = fer_train.training.loop.train_step

    def step(run, batch):
        if run.epoch == 1:
            fail()
        return train_step(run, batch)

    monkeypatch.setattr("fer_train.training.loop.train_step", step)


@pytest.mark.parametrize(("fail", "reason"), MEMORY_ENDS)
def test_memory_that_ends_is_one_error_and_finished_epochs_stay(tmp_path, faces, monkeypatch, fail, reason):
    fail_in_epoch_2(monkeypatch, fail)
    with pytest.raises(OutOfMemoryError) as caught:
        fit(tiny_config(), faces, tmp_path)
    message = str(caught.value)
    assert message.startswith("out of memory with batch_size 16: ")
    assert reason in message
    assert message.endswith("Finished epochs are kept. Fix: a smaller batch_size, in a new --out")
    assert "\n" not in message
    assert load_state(tmp_path / "last.pt")["epoch"] == 1


def test_another_runtime_error_is_not_taken_for_memory(tmp_path, faces, monkeypatch):
    fail_in_epoch_2(monkeypatch, lambda: raise_(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        fit(tiny_config(), faces, tmp_path)


@pytest.mark.parametrize("full_at", ["last.pt", "best.safetensors"])
def test_full_disk_stops_the_run_and_the_epoch_before_stays(tmp_path, faces, monkeypatch, full_at):
    fsync, path = os.fsync, tmp_path / full_at

    def full(descriptor):
        if path.exists() and any(full_at in p.name for p in tmp_path.glob(".*.tmp")):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    monkeypatch.setattr("fer_train.training.loop._validate", rising_accuracy())  # so that each epoch is the best
    with pytest.raises(CheckpointError, match=rf"cannot write .*{full_at}: .*No space left on device"):
        fit(tiny_config(), faces, tmp_path)
    assert load_state(tmp_path / "last.pt")["epoch"] == 1
    load_release(tmp_path / "best.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.safetensors", "config.yaml", "last.pt"]
    monkeypatch.setattr("os.fsync", fsync)
    assert fit(tiny_config(), faces, tmp_path, resume=True).epoch == 3


def rising_accuracy():
    return lambda run, _: {"loss": 1.0, "accuracy": run.epoch / 10, "f1": 0.0, "precision": 0.0, "recall": 0.0}


def test_what_a_killed_process_left_half_written_is_removed(tmp_path, faces):
    (tmp_path / ".last.pt.123.tmp").write_bytes(b"half")
    fit(tiny_config(num_epochs=1), faces, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "best.safetensors",
        "config.yaml",
        "final.safetensors",
        "last.pt",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"optimizer": "AdamW", "learning_rate": 0.001}, id="AdamW"),
        pytest.param({"optimizer": "Muon", "scheduler": {"name": "ReduceLROnPlateau"}}, id="Muon, plateau"),
        pytest.param({"scheduler": {"name": "Cosine", "warmup_epochs": 1.0}}, id="Cosine"),
        pytest.param({"class_weights": "balanced"}, id="class weights"),
        pytest.param({"sampling": "balanced"}, id="balanced sampling"),
        pytest.param({"mix": {"mixup_alpha": 0.2, "cutmix_alpha": 1.0}}, id="mixing"),
        pytest.param({"precision": "bf16", "max_grad_norm": 1.0}, id="bf16, clipped"),
        pytest.param({"size_phases": [{"until_epoch": 1, "image_size": 16}], "image_size": 24}, id="growing images"),
    ],
)
def test_every_part_of_the_recipe_trains(tmp_path, faces, changes):
    run = fit(tiny_config(num_epochs=2, **changes), faces, tmp_path)
    assert all(math.isfinite(row["train_loss"]) for row in run.history)
    spec = json.loads(read_spec_json(tmp_path / "best.safetensors"))
    assert spec["provenance"]["config"] == run.config.model_dump(mode="json")
    assert "quantization" not in spec
    assert "teachers" not in spec["provenance"]


@pytest.mark.slow
@pytest.mark.skipif("FER_TEST_COMPILE" not in os.environ, reason="compiles for a minute; FER_TEST_COMPILE=1 runs it")
@pytest.mark.filterwarnings("default")  # of torch.compile's own making
def test_compiled_network_learns_the_same(tmp_path, faces):
    compiled, plain = (
        fit(tiny_config(num_epochs=2, dropout=0.0, compile=on), faces, tmp_path / str(on)) for on in (True, False)
    )
    assert compiled.forward is not compiled.model
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(compiled.model.state_dict()[name], value, rtol=0, atol=1e-4)
    load_release(tmp_path / "True" / "best.safetensors")


def test_votes_change_what_is_learned(tmp_path, faces):
    votes = np.zeros((len(faces), 10), dtype=np.uint8)
    votes[:, 0] = 10  # everybody saw neutral faces
    voted = dataclasses.replace(faces, votes=votes)
    as_cast = {"ferplus_share": 1.0, "ferplus_votes": "as_cast"}
    run = fit(tiny_config(num_epochs=6, label_smoothing=0.0, ema_decay=0.0, **as_cast), voted, tmp_path)
    assert run.history[-1]["train_loss"] < 0.5 < run.history[-1]["loss"]  # far below ln 7; the labels are not met
    assert run.history[-1]["accuracy"] == pytest.approx(1 / 7)  # all are taken for neutral
