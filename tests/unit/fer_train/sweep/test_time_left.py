import json
import os
from dataclasses import dataclass

import pytest
from unit.fer_train.synthetic_faces import tiny_config

from fer_train.checkpoint import save_state
from fer_train.sweep import time_left
from fer_train.sweep.plan import Trial
from fer_train.sweep.progress import in_words
from fer_train.sweep.time_left import EpochSeconds, TimeLeft, estimate_time_left


@dataclass
class Clock:
    now: float = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time_left, "time", clock)
    return clock


@pytest.fixture
def trial(tmp_path):
    """Return a function that gives a run of 10 epochs with its folder; `seconds` are in its history.json."""

    def made(name, *, seed=0, model="net", seconds=None):
        out = tmp_path / f"{name}-{seed}"
        out.mkdir()
        config = tiny_config(model=model, seed=seed, num_epochs=10)
        if seconds is not None:
            (out / "history.json").write_text(json.dumps([{"seconds": s} for s in seconds]))
        return Trial(name, seed, config, out.with_suffix(".yaml"), out)

    return made


def save(trial, seconds, *, version):
    save_state(trial.out / "last.pt", {"history": [{"seconds": s} for s in seconds]})
    os.utime(trial.out / "last.pt", ns=(version, version))


def test_seconds_of_finished_epochs_are_read_from_the_state_now_and_then(trial, clock):
    run, epoch_seconds = trial("a"), EpochSeconds()
    assert epoch_seconds(run) == []
    save(run, [3.0], version=1)
    assert epoch_seconds(run) == [3.0]
    save(run, [3.0, 5.0], version=2)
    clock.now = 29.0
    assert epoch_seconds(run) == [3.0]
    clock.now = 30.0
    assert epoch_seconds(run) == [3.0, 5.0]
    (run.out / "last.pt").write_text("damaged")
    clock.now = 90.0
    assert epoch_seconds(run) == [3.0, 5.0]
    (run.out / "history.json").write_text(json.dumps([{"seconds": s} for s in (3.0, 5.0, 4.0)]))
    assert epoch_seconds(run) == [3.0, 5.0, 4.0]


def known(**seconds):
    return lambda trial: seconds.get(trial.label.replace("-", "_"), [])


def test_an_epoch_takes_what_epochs_of_the_run_took_else_of_its_name_else_of_its_model(trial):
    runs = [trial("a", seed=0), trial("a", seed=1), trial("b"), trial("c", model="senet")]
    epochs = known(a_0=[2.0, 4.0], c_0=[100.0] * 9)
    assert estimate_time_left(runs[:1], epochs, jobs=1) == TimeLeft(8 * 3.0, True)
    assert estimate_time_left(runs[:2], epochs, jobs=1) == TimeLeft(8 * 3.0 + 10 * 3.0, True)
    assert estimate_time_left(runs[:3], epochs, jobs=1) == TimeLeft(8 * 3.0 + 2 * 10 * 3.0, True)
    assert estimate_time_left(runs, epochs, jobs=1) == TimeLeft(8 * 3.0 + 2 * 10 * 3.0 + 100.0, True)


def test_runs_at_the_same_time_share_what_is_left_but_none_is_shorter_than_itself(trial):
    runs = [trial("a"), trial("b", model="senet"), trial("c", model="nano")]
    epochs = known(a_0=[1.0] * 5, b_0=[2.0] * 5, c_0=[3.0] * 5)
    assert estimate_time_left(runs, epochs, jobs=2) == TimeLeft(15.0, True)
    assert estimate_time_left(runs, epochs, jobs=8) == TimeLeft(15.0, True)
    assert estimate_time_left(runs[:2], known(a_0=[1.0] * 5, b_0=[1.0] * 5), jobs=2) == TimeLeft(5.0, True)


def test_trained_runs_are_not_left_and_tell_the_time_of_others(trial):
    runs = [trial("a", seed=0, seconds=[6.0] * 10), trial("a", seed=1)]
    assert estimate_time_left(runs, EpochSeconds(), jobs=2) == TimeLeft(60.0, True)
    assert estimate_time_left(runs[:1], EpochSeconds(), jobs=2) == TimeLeft(0.0, True)


def test_runs_of_which_nothing_is_known_make_the_estimate_a_lower_bound_or_none(trial):
    runs = [trial("a"), trial("b", model="senet")]
    assert estimate_time_left(runs, known(a_0=[1.0]), jobs=2) == TimeLeft(9.0, False)
    assert estimate_time_left(runs, known(), jobs=2) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3569, "59 min"),
        (3570, "1 h"),
        (12000, "3 h 20 min"),
    ],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
