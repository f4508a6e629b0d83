"""Rows of one name, of one recipe, and of files that have changed."""

import json

import pytest
from unit.fer_train.sweep.runs_cases import (
    TEACHERS,
    call,
    epoch_of,
    provenance_of,
    rows_in,
    write_release,
    write_weights,
)

from fer_train.sweep import run_rows


@pytest.fixture
def trained(tmp_path):
    """Return a function that makes the folder of a run without a release."""

    def make(name, *accuracies, seed=3, **provenance):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        config = provenance_of(**provenance)["config"] | {"seed": seed}
        write_weights(folder / "final.safetensors", **provenance | {"config": config})
        (folder / "history.json").write_text(json.dumps([epoch_of(accuracy) for accuracy in accuracies]))
        return folder

    return make


def test_same_run_replaces_its_row(trained, results):
    folder = trained("net", 0.5)
    call("--run", folder)
    write_release(folder / "release.safetensors", plain=0.7)
    call("--add", "--run", folder)
    assert [(row["run"], row["plain"], row["released"]) for row in rows_in(results)] == [("net", 0.7, True)]


@pytest.mark.parametrize("digest", ["ab" * 32, "1:" + "ab" * 32])
def test_a_digest_of_another_form_does_not_hide_that_a_run_is_released_since(trained, results, digest):
    folder = trained("net", 0.5)
    call("--run", folder)
    table = results.with_suffix(".json")
    content = json.loads(table.read_text())
    content["runs"][0]["recipe"] = digest
    table.write_text(json.dumps(content))
    write_release(folder / "release.safetensors", plain=0.7)
    call("--add", "--run", folder)
    assert [(row["run"], row["plain"]) for row in rows_in(results)] == [("net", 0.7)]
    table.write_text(json.dumps(content))
    call("--add", "--run", trained("elsewhere/net", 0.6, seed=4), code=2)


def test_the_start_counts_as_it_was_released(trained, results):
    """Two releases of one run are two beginnings."""
    call("--run", trained("a", 0.5, init=provenance_of()))
    call("--add", "--run", trained("b", 0.6, seed=4, init=provenance_of(recalibrated_on=28_006)))
    call("--add", "--run", trained("c", 0.7, seed=5, init=provenance_of(logit_adjustment={"strength": 0.2})))
    assert len({row["recipe"] for row in rows_in(results)}) == 3
    assert "over 2 seeds" not in results.read_text()


@pytest.mark.parametrize("name", ["a|b", "a\nb", "  "])
def test_a_name_that_would_break_the_table_is_refused(trained, results, name):
    done = call("--run", f"{name}={trained('net', 0.5)}", code=2)
    assert "a name of a row has letters and digits, no | and no line break. Fix: NAME=" in done.stderr


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4},
        {"num_epochs": 10},
        {"model": "senet"},
        {"init": provenance_of()},
        {"teachers": TEACHERS},
        {"row_lists": [{"flag": "--exclude", "sha256": "1"}]},
    ],
)
def test_another_run_of_the_same_name_needs_another_name(trained, results, other):
    call("--run", trained("net", 0.5))
    before = results.with_suffix(".json").read_text()
    again = trained("elsewhere/net", 0.6, **other)
    done = call("--add", "--run", again, code=2)
    assert done.stderr.startswith("error: net is not the run that the table calls net (net, seed 3, 1 epoch(s), start ")
    assert done.stderr.endswith(". Fix: --run NAME=net, with a name that the table does not have\n")
    assert results.with_suffix(".json").read_text() == before
    call("--add", "--run", f"net2={again}")
    assert [(row["run"], row["plain"]) for row in rows_in(results)] == [("net", 0.5), ("net2", 0.6)]
    assert "fer-train runs --run net2=net --add --out runs/table.md\n" in results.read_text()


def test_two_runs_of_one_name_in_one_call_are_refused(trained, results):
    folders = [trained("a/net", 0.5), trained("b/net", 0.6, seed=4)]
    done = call("--run", folders[0], "--run", f"net={folders[1]}", code=2)
    assert done.stderr.endswith(". Fix: --run NAME=net, with a name that the table does not have\n")
    assert not results.exists()


def test_folder_with_an_equals_sign_is_a_folder(trained, results):
    call("--run", trained("rate=0.1", 0.5))
    assert [row["run"] for row in rows_in(results)] == ["rate=0.1"]


def test_kept_row_tells_its_date_and_that_its_file_has_changed(tmp_path, results, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_rows, "today", lambda: "2026-11-23")
    for name in ("a", "b"):
        call("--add", "--release", write_release(tmp_path / f"{name}.safetensors").name)
    write_release(tmp_path / "a.safetensors", plain=0.6)
    call("--add", "--hardware", "a=A CPU")
    text = (tmp_path / "runs" / "table.md").read_text()
    assert "\n`--add` kept these rows, which earlier calls made: a, b (2026-11-23).\n" in text
    assert "\nThese files have changed since their rows were made: a.safetensors (row a).\n" in text
    (tmp_path / "a.safetensors").unlink()
    call("--add", "--release", "b.safetensors")
    text = (tmp_path / "runs" / "table.md").read_text()
    assert "which earlier calls made: a (2026-11-23).\n" in text
    assert "have changed" not in text


def test_config_is_the_shipped_one_of_the_recipe(trained, results, tmp_path, monkeypatch):
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "taught.yaml").write_text(
        "{model: net, num_epochs: 9, ferplus_share: 0.25, seed: 8, device: cpu, distillation: {teachers: [a.json]}}"
    )
    (configs / "others.yaml").write_text("{model: face_resnet, num_epochs: 9, pretrained: faces}")
    (configs / "plain.yaml").write_text("{model: net, num_epochs: 9, ferplus_share: 0.25, precision: bf16}")
    monkeypatch.setattr(run_rows, "_CONFIGS", configs)
    run_rows._shipped_recipes.cache_clear()
    try:
        folders = [
            trained("taught-run", 0.5, teachers=TEACHERS),
            trained("plain-run", 0.5, init=provenance_of()),
            trained("face", 0.5, config={"model": "face_resnet", "num_epochs": 9, "pretrained": "/far/dlib.dat"}),
            trained("other", 0.5, num_epochs=8),
        ]
        call(*(word for folder in folders for word in ("--run", folder)))
    finally:
        run_rows._shipped_recipes.cache_clear()
    assert [row["config"] for row in rows_in(results)] == ["taught", "plain", "others", None]
    assert "| taught-run | taught | net | FER2013 |" in results.read_text()


def test_seeds_of_one_recipe_have_mean_and_deviation(trained, results):
    folders = [trained(f"net-{seed}", 0.1, 0.5 + seed / 100, seed=seed) for seed in range(3)]
    folders += [trained("longer", 0.1, 0.2, 0.5, seed=7), trained("other", 0.1, 0.9, seed=8, num_epochs=3)]
    call(*(word for folder in folders for word in ("--run", folder)))
    text = results.read_text()
    assert "\n- net-0, net-1, net-2: 51.00 ± 1.00 % over 3 seeds.\n\n" in text
    assert text.count(" seeds.") == 1


def test_figures_that_the_table_was_told_by_hand_are_marked(trained, results):
    call("--run", trained("net-0", 0.5), "--run", trained("net-1", 0.6, seed=4))
    path = results.with_suffix(".json")
    table = json.loads(path.read_text())
    table["runs"][1] |= {"plain": 0.7, "f1": None, "validated": 0.7, "told": ["plain", "validated"]}
    path.write_text(json.dumps(table))
    call("--add", "--run", results.parents[2] / "net-0")
    text = results.read_text()
    assert "| 70.00%†‡ |  |  |\n" in text
    assert "| 50.00%‡ |  | 0.4000‡ |\n" in text
    assert "\n- net-0, net-1: 60.00 ± 14.14 %† over 2 seeds.\n" in text


def test_single_seeds_have_no_deviation(trained, results):
    call("--run", trained("net", 0.5), "--run", trained("again", 0.6))
    assert "deviation" not in results.read_text()
