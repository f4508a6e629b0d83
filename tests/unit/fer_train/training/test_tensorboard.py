import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.training.loop import fit
from fer_train.training.tensorboard import TensorBoardLog

pytestmark = pytest.mark.usefixtures("narrow_net")
MEASURES = ("loss", "accuracy", "f1", "precision", "recall")


def scalars(folder):
    """Return the scalars as TensorBoard shows them: [(step, value), ...] by name."""
    events = EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, pytest.approx(e.value)) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def train(folder, *, stop_after=None, resume=False, num_epochs=3):
    """Train into the folder, with TensorBoard; stopped in the step after `stop_after` steps."""
    with TensorBoardLog(folder / "tensorboard") as log:

        def on_step(step, num_steps, loss):
            log.on_step(step, num_steps, loss)
            if step == stop_after:
                raise KeyboardInterrupt

        return fit(
            tiny_config(num_epochs=num_epochs),
            make_faces(),
            folder,
            resume=resume,
            on_step=on_step,
            on_epoch=log.on_epoch,
        )


def test_every_measure_of_every_epoch_is_there(tmp_path):
    history = train(tmp_path).history
    found = scalars(tmp_path / "tensorboard")
    names = {"train/loss", "train/loss_of_epoch", "train/accuracy", "learning_rate"}
    assert set(found) == names | {f"validation/{name}" for name in MEASURES}
    for name in MEASURES:
        assert found[f"validation/{name}"] == [(row["epoch"] + 1, row[name]) for row in history]
    for name, key in (("loss_of_epoch", "train_loss"), ("accuracy", "train_accuracy")):
        assert found[f"train/{name}"] == [(row["epoch"] + 1, row[key]) for row in history]
    assert found["learning_rate"] == [(row["epoch"] + 1, row["learning_rate"]) for row in history]
    assert [step for step, _ in found["train/loss"]] == [4, 8, 12]


def test_a_resumed_run_shows_each_step_once(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_train.training.loop.STEPS_PER_CHECK", 1)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop_after=7)
    history = train(tmp_path, resume=True).history
    found = scalars(tmp_path / "tensorboard")
    assert [step for step, _ in found["train/loss"]] == list(range(1, 13))
    assert found["validation/accuracy"] == [(row["epoch"] + 1, row["accuracy"]) for row in history]


def test_a_refused_run_writes_nothing(tmp_path):
    with TensorBoardLog(tmp_path / "tensorboard"):
        pass
    assert list(tmp_path.iterdir()) == []
