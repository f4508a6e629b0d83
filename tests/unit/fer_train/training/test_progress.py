import pytest
from unit.fer_train.synthetic_faces import tiny_config

from fer_train.training import progress
from fer_train.training.progress import TrainingProgress, cost_of_epochs, seconds_left


@pytest.fixture
def growing():
    """Four epochs at 16 pixels, then four at 36: 27/8 times the cost, by an exponent of 1.5."""
    return tiny_config(num_epochs=8, image_size=36, size_phases=[{"until_epoch": 4, "image_size": 16}])


def test_larger_images_take_longer(growing):
    assert cost_of_epochs(growing, 5) == pytest.approx(4 * 16**1.5 + 36**1.5)
    assert cost_of_epochs(growing, 4.5) == pytest.approx(4 * 16**1.5 + 36**1.5 / 2)
    assert seconds_left(growing, 2, seconds=16) == pytest.approx(2 * 8 + 4 * 27)
    assert seconds_left(growing, 5, begun=4, seconds=27) == pytest.approx(3 * 27)
    assert seconds_left(growing, 8, seconds=100) == 0


def test_the_progress_tells_it(growing, monkeypatch, capsys):
    clock = iter([0, 480, 480, 960, 960, 960])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    told = TrainingProgress(growing)
    told.on_step(10, 80, 1.5)
    row = dict.fromkeys(("train_loss", "train_accuracy", "loss", "accuracy", "f1", "precision", "recall"), 0.5)
    told.on_epoch(row | {"epoch": 1, "learning_rate": 0.1, "seconds": 480})
    assert "480 s, about 124 min left" in capsys.readouterr().err


def test_epochs_of_one_step_and_runs_that_were_resumed(monkeypatch, capsys):
    """7 / 25 * 25 is more than 7."""
    config = tiny_config(num_epochs=25, image_size=16, size_phases=[])
    row = dict.fromkeys(("train_loss", "train_accuracy", "loss", "accuracy", "f1", "precision", "recall"), 0.5)
    for epoch in range(25):
        clock = iter([0, 60, 60, 60, 60])
        monkeypatch.setattr(progress.time, "monotonic", lambda clock=clock: next(clock))
        told = TrainingProgress(config)
        told.on_step(epoch + 1, 25, 1.5)
        told.on_epoch(row | {"epoch": epoch, "learning_rate": 0.1, "seconds": 60})
        assert f"about {24 - epoch} min left" in capsys.readouterr().err
