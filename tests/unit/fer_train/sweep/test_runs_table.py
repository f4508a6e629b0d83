import json

import numpy as np
import pytest
import runs
import torch
from click.testing import CliRunner
from harness.measuring import result_name
from safetensors.numpy import save_file

HARDWARE = "A CPU, 2 cores, torch 2"
TEACHERS = [{"path": "net1.safetensors", "sha256": "18c426ccc5f0", "architecture": "net"}]


def provenance_of(*, num_epochs=9, init=None, teachers=None, model="net", **more):
    config = {
        "model": model, "seed": 3, "num_epochs": num_epochs, "init": "/far/away.safetensors" if init else None,
        "distillation": {"teachers": ["/far/b.json"]} if teachers else None, "ferplus_share": 0.25,
    }  # fmt: skip
    steps = ({"init": init} if init else {}) | ({"teachers": teachers} if teachers else {})
    return {"config": config, "created": "2026-11-23T10:58:35+00:00", **steps, **more}


def write_release(path, *, plain=0.5, **provenance):
    view = {"accuracy": plain, "f1": 0.4}
    spec = {
        "provenance": provenance_of(**provenance),
        "metrics": {"PublicTest": {"plain": view, "flip": view | {"accuracy": 0.6}}},
    }
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"fer_model_spec": json.dumps(spec)})
    return path


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "senet-kd"
    folder.mkdir()
    (folder / "history.json").write_text(json.dumps([{"seconds": 90.0}, {"seconds": 150.0}]))
    return folder


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.measuring.UNPUBLISHED", tmp_path / "unpublished")
    monkeypatch.setattr("harness.measuring.RESULTS", tmp_path / "results")
    return tmp_path / "unpublished" / result_name("runs", torch.device("cpu"))


def call(*flags):
    return CliRunner().invoke(runs.main, [str(flag) for flag in flags])


def rows_in(results):
    return json.loads(results.with_suffix(".json").read_text())["runs"]


def test_row_of_a_folder_tells_of_the_steps_before_it(run, results):
    init = provenance_of(num_epochs=14, model="senet", init=provenance_of(model="senet"), recalibrated_on=7)
    write_release(
        run / "release.safetensors", model="senet", plain=0.675, init=init, teachers=TEACHERS, kept="final",
        hardware=HARDWARE, num_epochs=2,
    )  # fmt: skip
    done = call("--run", run)
    assert done.exit_code == 0, done.output
    assert (
        "| senet-kd | senet | FER2013 | senet release of 2026-11-23 10:58 | net 18c426cc | 0.25 | 3 "
        f"| 2 | at most 25 (9 + 14 + 2) | 4 |  | {HARDWARE} | 67.50% | 60.00% | 0.4000 |" in results.read_text()
    )


def test_row_of_a_release_alone_is_its_recipe(tmp_path, results):
    assert call("--release", write_release(tmp_path / "net.safetensors")).exit_code == 0
    assert "| net | net | FER2013 | random | none | 0.25 | 3 | 9 | at most 9 |  |  |  | 50.00% |" in results.read_text()


def test_all_epochs_of_a_run_from_random_numbers_to_its_end_are_in_its_weights(run, results):
    write_release(run / "release.safetensors", kept="final", num_epochs=2)
    assert call("--run", run).exit_code == 0
    assert "| random | none | 0.25 | 3 | 2 | 2 | 4 | 4 |" in results.read_text()


def test_command_and_table_tell_no_folder_and_no_machine_that_holds_for_all_rows(run, tmp_path, results):
    write_release(run / "release.safetensors", hardware=HARDWARE)
    call("--run", run, "--release", write_release(tmp_path / "net.safetensors"), "--minutes", "net=20")
    text = results.read_text()
    assert "    python benchmarks/runs.py --release net.safetensors --run runs/senet-kd --minutes net=20\n" in text
    assert str(tmp_path) not in text + results.with_suffix(".json").read_text()
    assert text.startswith("# Training runs\n")
    assert text.count(HARDWARE) == 1


def test_start_and_teachers_that_nobody_recorded_are_blank_and_not_none(tmp_path, results):
    provenance = provenance_of()
    provenance["config"] |= {"init": "a.safetensors", "distillation": {"teachers": ["b.safetensors"]}}
    path = write_release(tmp_path / "net.safetensors", config=provenance["config"])
    assert call("--release", path).exit_code == 0
    assert "| net | net | FER2013 |  |  | 0.25 |" in results.read_text()


@pytest.mark.parametrize(("recorded", "start"), [
    ({"init": provenance_of(model="net")}, "net checkpoint of 2026-11-23 10:58"),
    ({"init": provenance_of(model="net", soup={"ingredients": []})}, "net soup of 2026-11-23 10:58"),
    ({"config": provenance_of()["config"] | {"pretrained": "/a.pth"}}, "pretrained by others"),
])  # fmt: skip
def test_start_in_words(tmp_path, recorded, start):
    assert runs.row_of_release(write_release(tmp_path / "a.safetensors", **recorded))["start"] == start


def test_soup_counts_the_epochs_of_each_ingredient_and_of_what_they_share_once(tmp_path, results):
    shared = provenance_of(num_epochs=14)
    ingredients = [{"provenance": provenance_of(num_epochs=n, init=shared)} for n in (4, 5)]
    path = write_release(tmp_path / "soup.safetensors", soup={"ingredients": ingredients})
    assert call("--release", path).exit_code == 0
    assert (
        "| soup | net | FER2013 | mean of 2 models | none | 0.25 |  |  | at most 23 (14 + 4 + 5) |"
        in results.read_text()
    )


def test_minutes_and_hardware_are_told_by_hand_and_marked(tmp_path, results):
    path = write_release(tmp_path / "net.safetensors", init=provenance_of(num_epochs=22), num_epochs=5)
    done = call("--release", path, "--minutes", "net=84+20", "--hardware", "net=AMD EPYC, 2 cores")
    assert done.exit_code == 0, done.output
    text = results.read_text()
    assert "| 5 | at most 27 (22 + 5) | 20† | 104 (84 + 20)† | AMD EPYC, 2 cores† |" in text
    assert "--minutes net=84+20 --hardware 'net=AMD EPYC, 2 cores'\n" in text
    assert call("--add", "--release", path).exit_code == 0  # told once is enough
    assert "| 20† | 104 (84 + 20)† | AMD EPYC, 2 cores† |" in results.read_text()
    assert call("--add", "--minutes", "net=21").exit_code == 0
    assert "| 21† |  | AMD EPYC, 2 cores† |" in results.read_text()


@pytest.mark.parametrize(("text", "message"), [
    ("nett=3", "'nett=3' is not RUN=VALUE with a run of net"),
    ("net", "is not RUN=VALUE"),
    ("net=soon", "'soon' is not NUMBER or NUMBER+NUMBER"),
    ("net=-3", "neither the minutes of net's last step"),
    ("net=nan", "neither the minutes of net's last step"),
    ("net=1+2", "nor of its 1 steps, oldest first"),
])  # fmt: skip
def test_minutes_that_cannot_be_are_refused(tmp_path, results, text, message):
    done = call("--release", write_release(tmp_path / "net.safetensors"), "--minutes", text)
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())
    assert not results.exists()


def test_minutes_of_a_folder_are_not_told_by_hand(run, results):
    write_release(run / "release.safetensors")
    done = call("--run", run, "--minutes", "senet-kd=5")
    assert done.exit_code == 2
    assert "senet-kd's own files say 4.0. Fix: leave 'senet-kd=5' out" in done.output


def test_folder_without_release_names_the_command(run, results):
    done = call("--run", run)
    assert done.exit_code == 1
    assert "Fix: fer-train release --checkpoint" in done.output
    assert not results.exists()


def test_runs_of_an_earlier_table_stay_with_add_in_their_places(tmp_path, results):
    for name, plain in (("a", 0.1), ("b", 0.2), ("a", 0.3)):
        assert call("--add", "--release", write_release(tmp_path / f"{name}.safetensors", plain=plain)).exit_code == 0
    assert [(row["run"], row["plain"]) for row in rows_in(results)] == [("a", 0.3), ("b", 0.2)]
    call("--release", tmp_path / "b.safetensors")
    assert len(rows_in(results)) == 1


@pytest.fixture
def old_table(results):
    """Write a table as it was before steps were told: file names of one machine, and one hardware for all."""
    row = {"model": "net", "seed": 3, "start": "net1.safetensors", "teachers": ["senet1.safetensors"],
           "ferplus_share": 0.25, "plain": 0.5, "flip": 0.6, "f1": 0.4}  # fmt: skip
    rows = [row | {"run": "net", "epochs": 9, "minutes": None}, row | {"run": "kd", "epochs": 2, "minutes": 4.0}]
    results.parent.mkdir()
    old = {"hardware": HARDWARE, "command": "python benchmarks/runs.py --run /far/kd", "runs": rows}
    results.with_suffix(".json").write_text(json.dumps(old))


@pytest.mark.usefixtures("old_table")
def test_rows_of_an_old_table_keep_their_figures_and_lose_names_of_files(results):
    assert call("--add").exit_code == 0
    text = results.read_text()
    assert "| net | net | FER2013 |  |  | 0.25 | 3 | 9 |  |  |  |  | 50.00% | 60.00% | 0.4000 |" in text
    assert "| kd | net | FER2013 |  |  | 0.25 | 3 | 2 |  | 4 |  |  | 50.00% | 60.00% | 0.4000 |" in text
    assert "runs.py --release net.safetensors --run runs/kd\n" in text
    assert "1.safetensors" not in text


@pytest.mark.usefixtures("old_table")
def test_release_of_an_old_row_whose_folder_is_gone_keeps_the_minutes_measured_then(tmp_path, results):
    path = write_release(tmp_path / "kd.safetensors", init=provenance_of(num_epochs=14), teachers=TEACHERS)
    assert call("--add", "--release", path).exit_code == 0
    row = (
        "| kd | net | FER2013 | net checkpoint of 2026-11-23 10:58 | net 18c426cc | 0.25 | 3 | 2 "
        "| at most 16 (14 + 2) | 4 |"
    )
    assert row in results.read_text()
    assert "--run runs/kd\n" in results.read_text()


@pytest.mark.usefixtures("old_table")
def test_release_of_other_weights_under_the_same_name_keeps_nothing(tmp_path, results):
    assert call("--add", "--release", write_release(tmp_path / "kd.safetensors", plain=0.51)).exit_code == 0
    assert [row["minutes"] for row in rows_in(results)] == [None, None]
