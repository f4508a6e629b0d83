"""The commands that train: train, distill and crossval, and how they end when they are stopped."""

import hashlib
import json

import numpy as np
import pytest
from unit.fer_train.cli.train.train_cases import TRAIN_COMMANDS, run, spec_of
from unit.fer_train.synthetic_faces import write_votes

from fer_train.checkpoint import load_release, load_state, save_release

pytestmark = pytest.mark.usefixtures("narrow_net")


def test_history_is_written_as_json_too(tmp_path, flags):
    run("train", *flags())
    assert (
        json.loads((tmp_path / "out" / "history.json").read_text())
        == load_state(tmp_path / "out" / "last.pt")["history"]
    )
    assert not (tmp_path / "out" / "tensorboard").exists()


def test_seeds_are_trained_and_their_spread_is_printed(tmp_path, flags):
    result = run("train", *flags(), "--seeds", "0..1")
    summary = json.loads((tmp_path / "out" / "seeds.json").read_text())
    mean, sd = summary["mean"]["accuracy"], summary["sd"]["accuracy"]
    assert f"mean │   {mean:.4f} │" in result.stdout
    assert f"± sd │   {sd:.4f} │" in result.stdout
    assert "last epoch" in " ".join(result.stdout.split())  # the title is wrapped
    assert [row["seed"] for row in summary["runs"]] == [0, 1]


def test_bad_seeds_exit_with_2(tmp_path, flags):
    result = run("train", *flags(), "--seeds", "0-4", code=2)
    assert "error: --seeds '0-4' is not a list of different seeds. Fix: --seeds 0..4" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init": "absent.safetensors"}, "absent.safetensors"),
        ({"distillation": {"teachers": ["absent.safetensors"]}}, "no teacher at absent.safetensors. Fix: train and"),
        ({"model": "resnet18", "pretrained": "absent.pth"}, "absent.pth"),
    ],
)
def test_weights_that_are_absent_are_told_before_the_data_are_read(tmp_path, flags, changes, message):
    (tmp_path / "no.csv").write_text("no faces")
    result = run("train", *flags(**changes), "--data", tmp_path / "no.csv", code=4)
    assert message in result.stderr
    assert "no.csv" not in result.stderr


def test_crossval_asks_for_no_weights_that_it_would_refuse(flags):
    result = run("crossval", *flags(init="absent.safetensors"), "--folds", 2, code=2)
    assert "init: those weights may have seen" in result.stderr


def test_a_trial_whose_data_are_wrong_leaves_no_folder(tmp_path, flags, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "no.csv").write_text("no faces")
    words = flags()
    config = words[words.index("--config") + 1]
    run("train", "--config", config, "--data", tmp_path / "no.csv", "--quick", code=4)
    assert not list((tmp_path / "temporary").iterdir())


def test_a_run_that_goes_on_does_not_need_the_weights_that_it_began_with(tmp_path, flags):
    run("train", *flags(num_epochs=1))
    first = (tmp_path / "out" / "best.safetensors").rename(tmp_path / "first.safetensors")
    words = [*flags(num_epochs=1), "--init", first, "--out", tmp_path / "tuned"]
    run("train", *words)
    first.unlink()
    run("train", *words, "--resume")


def test_excluded_rows_do_not_train(tmp_path, flags, caplog):
    caplog.set_level("INFO")
    (tmp_path / "exclude.csv").write_text("row,reason\n0,twin\n3,not a face\n70,of PublicTest\n")
    (tmp_path / "twins.txt").write_text("5\n")  # means nothing to the official protocol
    run("train", *flags(num_epochs=1), "--exclude", tmp_path / "exclude.csv", "--twin-rows", tmp_path / "twins.txt")
    provenance = spec_of(tmp_path / "out")["provenance"]
    assert provenance["num_faces"] == {"Training": 62, "PublicTest": 21}
    digest = hashlib.sha256((tmp_path / "exclude.csv").read_bytes()).hexdigest()
    assert provenance["row_lists"] == [
        {"flag": "--exclude", "file": "exclude.csv", "sha256": digest, "num_rows": 2},
    ]
    assert "official protocol leaves out 2 rows" in caplog.text
    assert "--twin-rows is not used: the protocol is official" in caplog.text


def test_resuming_with_other_exclusions_is_refused_with_the_mend(tmp_path, flags):
    run("train", *flags(num_epochs=1))
    (tmp_path / "exclude.txt").write_text("0\n")
    result = run("train", *flags(num_epochs=1), "--resume", "--exclude", tmp_path / "exclude.txt", code=4)
    assert "Fix: the same --data, --twin-rows, --exclude and protocol as in that run" in result.stderr


def test_lists_of_the_clean_protocol_are_recorded_in_every_run_and_on_resuming(tmp_path, flags):
    (tmp_path / "twins.txt").write_text("5\n6\n")
    (tmp_path / "exclude.txt").write_text("6\n")
    words = ["--twin-rows", tmp_path / "twins.txt", "--exclude", tmp_path / "exclude.txt"]
    run("crossval", *flags(num_epochs=1, protocol="clean"), *words, "--folds", 2)
    run("train", *flags(num_epochs=1, protocol="clean"), *words, "--out", tmp_path / "single")
    run("train", *flags(num_epochs=1, protocol="clean"), *words, "--out", tmp_path / "single", "--resume")
    for folder in ("out/fold-0", "out/fold-1", "single"):
        lists = spec_of(tmp_path / folder)["provenance"]["row_lists"]
        assert [(row["flag"], row["file"], row["num_rows"]) for row in lists] == [
            ("--twin-rows", "twins.txt", 2),
            ("--exclude", "exclude.txt", 1),
        ]


def test_run_of_a_version_that_recorded_no_lists_resumes_and_is_started_from(tmp_path, flags):
    run("train", *flags(num_epochs=1))
    best, old = tmp_path / "out" / "best.safetensors", tmp_path / "old.safetensors"
    model, spec = load_release(best)
    del spec["provenance"]["row_lists"]
    save_release(best, model, spec)
    save_release(old, model, spec)
    run("train", *flags(num_epochs=1), "--resume")
    run("train", *flags(num_epochs=1), "--init", old, "--out", tmp_path / "tuned")
    provenance = spec_of(tmp_path / "tuned")["provenance"]
    assert provenance["row_lists"] == []
    assert "row_lists" not in provenance["init"]


def test_crossval_writes_predictions_of_unseen_faces_and_says_where(tmp_path, flags):
    result = run("crossval", *flags(num_epochs=1), "--folds", 2)
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["crossval.json", "fold-0", "fold-1", "out_of_fold.npz"]
    with np.load(out / "out_of_fold.npz") as stored:
        assert stored["probs"].shape == (64, 7)
    assert "± sd │" in result.stdout
    assert f"{out / 'out_of_fold.npz'}" in result.stdout.replace("\n", "")


def test_too_many_folds_exit_with_2(flags):
    result = run("crossval", *flags(), "--folds", 10, code=2)
    assert "error: --folds is 10; it must be from 2 to 9, the number of faces of the rarest class" in result.stderr


def test_distill_takes_its_settings_from_flags_over_the_config(tmp_path, flags, teacher):
    written = {"teachers": ["another.safetensors"], "weight": 0.9, "temperature": 3.0, "cached": True}
    run(
        "distill",
        *flags(num_epochs=1, distillation=written),
        "--teacher",
        teacher,
        "--teacher-weight",
        0.25,
        "--each-batch",
    )
    provenance = spec_of(tmp_path / "out")["provenance"]
    assert provenance["config"]["distillation"] == {
        "teachers": ["best.safetensors"],
        "weight": 0.25,
        "temperature": 3.0,
        "cached": False,
    }
    assert [row["path"] for row in provenance["teachers"]] == ["best.safetensors"]


def test_distilled_run_resumes(tmp_path, flags, teacher):
    command = ["distill", *flags(), "--teacher", teacher, "--cached"]
    run(*command)
    run(*command, "--resume")
    assert load_state(tmp_path / "out" / "last.pt")["epoch"] == 2


def test_teacher_of_other_labels_exits_with_2(tmp_path, flags, teacher):
    model, spec = load_release(teacher)
    moods = [f"mood_{number}" for number in range(7)]
    save_release(tmp_path / "moods.safetensors", model, spec | {"labels": moods})
    result = run("distill", *flags(), "--teacher", tmp_path / "moods.safetensors", code=2)
    assert f"error: teacher {tmp_path / 'moods.safetensors'} has the labels mood_0, mood_1" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", TRAIN_COMMANDS)
def test_every_training_command_has_the_same_flags(command):
    text = run(command, "--help").stdout
    for flag in (
        "--config",
        "--data",
        "--ferplus",
        "--twin-rows",
        "--exclude",
        "--out",
        "--epochs",
        "--device",
        "--validation-split",
        "--tensorboard",
    ):
        assert flag in text


def test_lists_that_have_no_effect_are_refused(tmp_path, flags):
    (tmp_path / "rows.txt").write_text("9999\n")
    (tmp_path / "all.txt").write_text("\n".join(map(str, range(64))))
    (tmp_path / "none.txt").write_text("# audit found nothing\n")
    result = run("train", *flags(), "--exclude", tmp_path / "rows.txt", code=4)
    assert "rows.txt names none of the 64 rows of Training. Fix: the list that was made for" in result.stderr
    result = run("train", *flags(), "--exclude", tmp_path / "all.txt", code=4)
    assert "all.txt names all of the 64 rows of Training. Fix:" in result.stderr
    run("train", *flags(), "--exclude", tmp_path / "none.txt")


def test_votes_without_a_share_are_left_aside_and_said(tmp_path, flags, caplog):
    usages = ["Training"] * 64 + ["PublicTest"] * 21
    votes = write_votes(tmp_path / "fer2013new.csv", usages, [[1] * 10] * 85)
    run("train", *flags(), "--ferplus", votes)
    assert "--ferplus is not used: ferplus_share is 0." in caplog.text
    run("train", *flags(), "--resume")  # the same data with and without them


def test_what_the_precision_was_is_kept(tmp_path, flags):
    run("train", *flags())
    provenance = spec_of(tmp_path / "out")["provenance"]
    assert (provenance["precision"], provenance["num_processes"]) == ("fp32", 1)
    assert "ferplus_sha256" not in provenance


def test_the_votes_file_is_named_in_the_provenance(tmp_path, flags):
    usages = ["Training"] * 64 + ["PublicTest"] * 21
    votes = write_votes(tmp_path / "fer2013new.csv", usages, [[1] * 10] * 85)
    run("train", *flags(ferplus_share=0.5, ferplus_votes="as_cast"), "--ferplus", votes)
    assert spec_of(tmp_path / "out")["provenance"]["ferplus_sha256"] == hashlib.sha256(votes.read_bytes()).hexdigest()


def test_one_epoch_of_a_config_with_phases(tmp_path, flags):
    phases = [{"until_epoch": 12, "image_size": 16}, {"until_epoch": 18, "image_size": 20}]
    run("train", *flags(num_epochs=24, size_phases=phases, image_size=24), "--epochs", 1)
    assert spec_of(tmp_path / "out")["provenance"]["config"]["size_phases"] == []
