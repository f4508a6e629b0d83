import json
import os
import signal

import pytest
import yaml
from click.testing import CliRunner
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv, write_votes

from fer_train import __version__
from fer_train.checkpoint import load_state, read_spec_json
from fer_train.cli import main


def run(*args, code=0):
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def write_config(folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tiny_config(**changes).model_dump(mode="json")))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_csv(tmp_path_factory.mktemp("data") / "fer2013.csv", make_faces())


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """The full-width Net after two tiny epochs; returns the folder and what was printed."""
    folder = tmp_path_factory.mktemp("run")
    config = write_config(folder, num_epochs=5)
    return folder / "out", run("train", "--config", config, "--data", data, "--out", folder / "out", "--epochs", 2)


def test_train_writes_the_run_and_says_where(trained):
    out, result = trained
    weights = ["best.safetensors", "final.safetensors"]
    others = ["config.yaml", "history.json", "history.png", "last.pt", "plots", "tensorboard"]
    assert sorted(p.name for p in out.iterdir()) == sorted(weights + others)
    pictures = [f"PublicTest-{what}.png" for what in ("confusion", "precision-recall", "reliability")]
    assert sorted(p.name for p in (out / "plots").iterdir()) == pictures
    best = max(row["accuracy"] for row in load_state(out / "last.pt")["history"])
    assert f"best PublicTest accuracy {best:.2%} in epoch" in result.stdout
    assert all(str(out / name) in result.stdout for name in weights)


def test_train_shows_each_epoch_with_its_measures_and_time_left_on_stderr(trained):
    _, result = trained
    for words in ("epoch 1/2", "epoch 2/2", "validation loss", "accuracy", "F1", "precision", "recall", "min left"):
        assert words in result.stderr
        assert words not in result.stdout.replace("best PublicTest accuracy", "")


def test_flag_overrides_the_config_and_the_resolved_one_is_kept(trained):
    config = yaml.safe_load((trained[0] / "config.yaml").read_text())
    assert config["num_epochs"] == 2


def test_second_run_into_the_same_folder_is_refused(trained, data):
    out, _ = trained
    result = run("train", "--config", out / "config.yaml", "--data", data, "--out", out, code=4)
    assert f"error: {out / 'last.pt'} exists. Fix: --resume" in result.stderr
    assert result.stdout == ""


@pytest.mark.slow
def test_train_resumes_a_stopped_run(tmp_path, data, narrow_net, monkeypatch):
    config, out = write_config(tmp_path, num_epochs=2), tmp_path / "out"
    stopped = iter([None, signal.SIGINT])

    def stop(*_):
        if (number := next(stopped, None)) is not None:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr("fer_train.training.progress.TrainingProgress.on_step", stop)
        result = run("train", "--config", config, "--data", data, "--out", out, code=130)
    assert "stopped; go on with the same command and --resume" in result.stderr
    assert load_state(out / "last.pt")["epoch"] == 1
    run("train", "--config", config, "--data", data, "--out", out, "--resume")
    assert load_state(out / "last.pt")["epoch"] == 2


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_net")
def test_clean_protocol_and_twin_rows_and_votes(tmp_path):
    faces = make_faces()
    faces.images[64] = faces.images[0]
    data = write_csv(tmp_path / "fer2013.csv", faces)
    votes = write_votes(tmp_path / "fer2013new.csv", faces.splits.tolist(), [[1] * 10] * 85)
    (tmp_path / "twins.txt").write_text("# rows\n5\n")
    run(
        "train",
        "--config",
        write_config(tmp_path, protocol="clean", num_epochs=1),
        "--data",
        data,
        "--ferplus",
        votes,
        "--twin-rows",
        tmp_path / "twins.txt",
        "--out",
        tmp_path / "out",
    )
    spec = json.loads(read_spec_json(tmp_path / "out" / "best.safetensors"))
    assert spec["provenance"]["num_faces"] == {"Training": 62, "PublicTest": 21}


@pytest.mark.usefixtures("narrow_net")
def test_diverging_run_exits_with_9(tmp_path, data):
    config = write_config(tmp_path, learning_rate=1e30)
    result = run("train", "--config", config, "--data", data, "--out", tmp_path / "out", code=9)
    assert "error: the loss became nan in epoch 1" in result.stderr
    assert "Fix: start again with a lower learning_rate" in result.stderr
    assert result.stdout == ""


def test_unknown_key_exits_with_2(tmp_path, data):
    (tmp_path / "c.yaml").write_text("lerning_rate: 0.1\n")
    result = run("train", "--config", tmp_path / "c.yaml", "--data", data, "--out", tmp_path / "out", code=2)
    assert "unknown key 'lerning_rate'; did you mean 'learning_rate'?" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ({"--split": "PrivateTest"}, 4, "has no split 'PrivateTest'"),
        ({"--data": "absent.csv"}, 4, "no data at absent.csv. Expected Kaggle's fer2013.csv"),
        ({"--checkpoint": "absent.safetensors"}, 4, "no checkpoint at absent.safetensors. Fix: fer-train train"),
        ({"--device": "gpu"}, 2, "gpu"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "release"])
def test_errors_go_to_stderr_with_their_exit_code(trained, data, tmp_path, command, flags, code, message):
    given = {"--checkpoint": trained[0] / "best.safetensors", "--data": data, "--device": "cpu"} | flags
    given |= {"--out": tmp_path / "o.safetensors"} if command == "release" else {}
    result = run(command, *(word for pair in given.items() for word in pair), code=code)
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_version_and_help():
    assert __version__ in run("--version").stdout
    for command in ("train", "evaluate", "release"):
        assert command in run("--help").stdout
        assert "--data" in run(command, "--help").stdout
