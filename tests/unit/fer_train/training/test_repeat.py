import json

import numpy as np
import pytest
import torch
from rich.console import Console
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_state
from fer_train.data.splits import pixel_hashes
from fer_train.errors import CheckpointError, ConfigError
from fer_train.evaluation.evaluate import measure
from fer_train.training.loop import fit
from fer_train.training.repeat import cross_validate, fold_numbers, parse_seeds, spread_table, train_seeds

pytestmark = pytest.mark.usefixtures("narrow_net")
MEASURES = ("accuracy", "f1", "precision", "recall", "loss")


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Leave history.png out: it takes longer than the run. test_cli.py has it."""
    monkeypatch.setattr("fer_train.evaluation.plots.plot_history", lambda *_: None)
    monkeypatch.setattr("fer_train.training.session._plot_final", lambda *_: None)


@pytest.fixture
def starts(monkeypatch):
    """The epochs at which runs of `fit` began, in order; `starts.stop_at` makes the one of that number fail."""

    class Starts(list):
        stop_at: int | None = None

    seen = Starts()

    def watched(config, faces, out, **options):
        if seen.stop_at == len(seen):
            raise KeyboardInterrupt
        last = out / "last.pt"
        seen.append(load_state(last)["epoch"] if last.exists() else 0)
        return fit(config, faces, out, **options)

    monkeypatch.setattr("fer_train.training.session.fit", watched)
    return seen


@pytest.mark.parametrize(
    ("text", "seeds"), [("0..4", [0, 1, 2, 3, 4]), ("3..3", [3]), ("7,0,1", [7, 0, 1]), ("5", [5])]
)
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "4..0", "1,1", "a", "0..", "-1", "1.5", "0...3", "0..2,4"])
def test_what_is_no_list_of_seeds(text):
    with pytest.raises(ConfigError) as caught:
        parse_seeds(text)
    assert str(caught.value) == (
        f"--seeds {text!r} is not a list of different seeds. Fix: --seeds 0..4 or --seeds 0,1,7"
    )


def test_seed_beyond_the_range_of_the_config_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ConfigError, match="--seeds: seed: expected less than 2147483648"):
        train_seeds(tiny_config(), make_faces(), tmp_path, seeds=[0, 2**31])
    assert list(tmp_path.iterdir()) == []


def test_each_seed_is_a_run_of_its_own_and_mean_and_deviation_are_those_of_their_last_epochs(tmp_path):
    summary = train_seeds(tiny_config(num_epochs=2), make_faces(), tmp_path, seeds=[5, 1, 2], tensorboard=False)
    assert json.loads((tmp_path / "seeds.json").read_text()) == summary
    assert [row["seed"] for row in summary["runs"]] == [5, 1, 2]
    for row in summary["runs"]:
        state = load_state(tmp_path / f"seed-{row['seed']}" / "last.pt")
        assert state["config"]["seed"] == row["seed"]
        assert {name: state["history"][-1][name] for name in MEASURES} == {name: row[name] for name in MEASURES}
        assert row["best_accuracy"] == max(epoch["accuracy"] for epoch in state["history"])
    for name in MEASURES:
        values = [row[name] for row in summary["runs"]]
        assert summary["mean"][name] == pytest.approx(np.mean(values))
        assert summary["sd"][name] == pytest.approx(np.std(values, ddof=1))
    alone = fit(tiny_config(num_epochs=2, seed=1), make_faces(), tmp_path / "alone")
    state = load_state(tmp_path / "seed-1" / "last.pt")
    assert all(torch.equal(value, alone.model.state_dict()[name]) for name, value in state["model"].items())


def test_a_single_seed_has_no_deviation(tmp_path):
    summary = train_seeds(tiny_config(num_epochs=1), make_faces(), tmp_path, seeds=[3], tensorboard=False)
    assert summary["sd"] is None


@pytest.mark.parametrize("runs", [1, 3])
def test_table_has_each_number_on_one_line_of_80_columns(runs, capsys):
    row = {"accuracy": 0.67181, "f1": 0.63412, "precision": 0.65093, "recall": 0.62554, "loss": 10.95685}
    summary = {
        "split": "PublicTest",
        "runs": [{"seed": 2**31 - 1 - i, **row, "best_accuracy": 0.9} for i in range(runs)],
        "mean": row,
        "sd": {name: value / 100 for name, value in row.items()} if runs > 1 else None,
    }
    Console(width=80).print(spread_table(summary, title="configs/train/net.yaml"))
    lines = [line.replace("│", " ").replace("┃", " ").split() for line in capsys.readouterr().out.splitlines()]
    numbers = ["0.6718", "0.6341", "0.6509", "0.6255", "10.9568"]
    assert ["seed", *MEASURES] in lines
    assert ["2147483647", *numbers] in lines
    assert ["mean", *numbers] in lines
    assert (["±", "sd", "0.0067", "0.0063", "0.0065", "0.0063", "0.1096"] in lines) == (runs > 1)
    assert sum("±" in line for line in lines) == (runs > 1)


def test_stopped_seeds_go_on_where_they_stopped(tmp_path, starts):
    config, faces = tiny_config(num_epochs=1), make_faces()
    starts.stop_at = 1
    with pytest.raises(KeyboardInterrupt):
        train_seeds(config, faces, tmp_path, seeds=[0, 1], tensorboard=False)
    assert len(json.loads((tmp_path / "seeds.json").read_text())["runs"]) == 1
    starts.stop_at = None
    summary = train_seeds(config, faces, tmp_path, seeds=[0, 1], tensorboard=False)
    assert starts == [0, 1, 0]  # the first seed is finished: it is loaded and not trained
    assert summary == train_seeds(config, faces, tmp_path / "whole", seeds=[0, 1], tensorboard=False)


def test_seeds_of_another_config_are_not_mixed_with_these(tmp_path):
    train_seeds(tiny_config(num_epochs=1), make_faces(), tmp_path, seeds=[0], tensorboard=False)
    with pytest.raises(CheckpointError, match=r"of another config: learning_rate was 0\.05 and is 0\.01"):
        train_seeds(tiny_config(num_epochs=1, learning_rate=0.01), make_faces(), tmp_path, seeds=[0], tensorboard=False)


def faces_with_copies():
    """70 training faces; rows 0 to 4 are five copies of one face, rows 10 and 17 of another."""
    faces = make_faces(Training=70, PublicTest=14)
    for copies in ([0, 7, 14, 21, 28], [10, 17]):
        faces.images[copies] = faces.images[copies[0]]
    return faces


def folds_of(faces, num_folds=4, seed=0):
    return fold_numbers(faces.labels, faces.images, num_folds=num_folds, seed=seed)


def test_every_fold_holds_out_every_class_about_as_often():
    faces = make_faces(Training=140)
    folds = folds_of(faces)
    for label in range(7):
        assert set(np.bincount(folds[faces.labels == label], minlength=4)) == {5}


def test_equal_pixels_are_in_one_fold():
    faces = faces_with_copies()
    folds = folds_of(faces)
    hashes = pixel_hashes(faces.images)
    for copy in np.unique(hashes):
        assert len(set(folds[hashes == copy])) == 1
    assert set(folds) == {0, 1, 2, 3}


def test_folds_are_the_seeds_alone():
    faces = make_faces(Training=140)
    assert folds_of(faces).tolist() == folds_of(faces).tolist() != folds_of(faces, seed=1).tolist()


@pytest.mark.parametrize("num_folds", [1, 11])
def test_number_of_folds_that_the_rarest_class_does_not_allow(num_folds):
    with pytest.raises(ConfigError, match=rf"--folds is {num_folds}; it must be from 2 to 10, the number of faces of"):
        folds_of(make_faces(Training=70), num_folds=num_folds)


def test_each_face_is_predicted_by_the_model_that_did_not_see_it(tmp_path):
    faces, config = faces_with_copies(), tiny_config(num_epochs=1)
    summary = cross_validate(config, faces, tmp_path, num_folds=3, tensorboard=False)
    train = faces.select(faces.splits == "Training")
    folds = fold_numbers(train.labels, train.images, num_folds=3, seed=config.seed)
    with np.load(tmp_path / "out_of_fold.npz") as stored:
        assert stored["rows"].tolist() == train.rows.tolist()
        assert stored["labels"].tolist() == train.labels.tolist()
        np.testing.assert_allclose(stored["probs"].sum(1), 1, rtol=1e-5)
        for row in summary["runs"]:
            held_out = folds == row["fold"]
            assert row["num_faces"] == held_out.sum()
            measured = measure(np.log(stored["probs"][held_out]), train.labels[held_out])
            assert measured.accuracy == row["accuracy"]
            assert measured.loss == pytest.approx(row["loss"], rel=1e-4)
            state = load_state(tmp_path / f"fold-{row['fold']}" / "last.pt")
            # Nothing but the split is left of how the fold was trained: its validation is the held-out part.
            assert state["history"][-1]["accuracy"] == row["accuracy"]
    assert json.loads((tmp_path / "crossval.json").read_text()) == summary
    assert summary["mean"]["accuracy"] == pytest.approx(np.mean([row["accuracy"] for row in summary["runs"]]))


def test_other_splits_are_not_looked_at(tmp_path):
    config = tiny_config(num_epochs=1)
    with_others, without = make_faces(), make_faces(Training=64)
    with_others.images[:64] = without.images
    summaries = [
        cross_validate(config, faces, tmp_path / str(i), num_folds=2, tensorboard=False)
        for i, faces in enumerate((with_others, without))
    ]
    assert summaries[0] == summaries[1]


def test_stopped_crossval_goes_on_where_it_stopped(tmp_path, starts):
    config, faces = tiny_config(num_epochs=1), make_faces()
    starts.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        cross_validate(config, faces, tmp_path / "stopped", num_folds=3, tensorboard=False)
    assert not (tmp_path / "stopped" / "out_of_fold.npz").exists()
    starts.stop_at = None
    summary = cross_validate(config, faces, tmp_path / "stopped", num_folds=3, tensorboard=False)
    assert starts == [0, 0, 1, 1, 0]
    assert summary == cross_validate(config, faces, tmp_path / "whole", num_folds=3, tensorboard=False)
    with np.load(tmp_path / "stopped" / "out_of_fold.npz") as one, np.load(tmp_path / "whole/out_of_fold.npz") as other:
        np.testing.assert_array_equal(one["probs"], other["probs"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"init": "net.safetensors"}, r"^init: those weights .* Fix: init: null in the config"),
        ({"distillation": {"teachers": ["net.safetensors"]}}, "Fix: distillation: null in the config"),
    ],
)
def test_no_fold_starts_from_weights_that_saw_it(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        cross_validate(tiny_config(**settings), make_faces(), tmp_path / "out", num_folds=2)
    assert not (tmp_path / "out").exists()
