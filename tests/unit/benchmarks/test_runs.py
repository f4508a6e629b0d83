import json

import pytest
import runs
from click.testing import CliRunner
from safetensors.numpy import save_file


def write_release(path, *, model="net", plain=0.5, init=None, teachers=()):
    import numpy as np  # noqa: PLC0415

    distillation = {"teachers": list(teachers)} if teachers else None
    config = {
        "model": model, "seed": 3, "num_epochs": 9, "init": init, "distillation": distillation, "ferplus_share": 0.25,
    }  # fmt: skip
    view = {"accuracy": plain, "f1": 0.4}
    spec = {
        "provenance": {"config": config},
        "metrics": {"PublicTest": {"plain": view, "flip": view | {"accuracy": 0.6}}},
    }
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"fer_model_spec": json.dumps(spec)})


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "senet-kd"
    folder.mkdir()
    (folder / "history.json").write_text(json.dumps([{"seconds": 90.0}, {"seconds": 150.0}]))
    return folder


@pytest.fixture
def results(tmp_path, monkeypatch):
    path = tmp_path / "results" / "runs.md"
    monkeypatch.setattr(runs, "result_path", lambda what, device: path)
    return path


def call(*flags):
    return CliRunner().invoke(runs.main, [str(flag) for flag in flags])


def test_row_of_a_folder_and_of_a_release_alone(run, tmp_path, results):
    write_release(
        run / "release.safetensors", model="senet", plain=0.675, init="/far/a.safetensors", teachers=["/b.json"]
    )
    write_release(tmp_path / "net.safetensors")
    done = call("--run", run, "--release", tmp_path / "net.safetensors")
    assert done.exit_code == 0, done.output
    text = results.read_text()
    assert "| senet-kd | senet | a.safetensors | b.json | 0.25 | 3 | 2 | 4 | 67.50% | 60.00% | 0.4000 |" in text
    assert "| net | net | random | none | 0.25 | 3 | 9 | unknown | 50.00% | 60.00% | 0.4000 |" in text
    assert [row["minutes"] for row in json.loads(results.with_suffix(".json").read_text())["runs"]] == [None, 4.0]


def test_folder_without_release_names_the_command(run, results):
    done = call("--run", run)
    assert done.exit_code == 1
    assert "Fix: fer-train release --checkpoint" in done.output
    assert not results.exists()


def test_runs_of_an_earlier_table_stay_with_add(tmp_path, results):
    for name, plain in (("a", 0.1), ("b", 0.2), ("a", 0.3)):
        write_release(tmp_path / f"{name}.safetensors", plain=plain)
        assert call("--add", "--release", tmp_path / f"{name}.safetensors").exit_code == 0
    rows = json.loads(results.with_suffix(".json").read_text())["runs"]
    assert [(row["run"], row["plain"]) for row in rows] == [("b", 0.2), ("a", 0.3)]
    call("--release", tmp_path / "b.safetensors")
    assert len(json.loads(results.with_suffix(".json").read_text())["runs"]) == 1
