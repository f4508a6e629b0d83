import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from unit.fer_train.sweep.runs_cases import HARDWARE, TEACHERS, call, epoch_of, provenance_of, rows_in, write_release

from fer_train.sweep.run_rows import row_of_release


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "senet-kd"
    folder.mkdir()
    (folder / "history.json").write_text(json.dumps([epoch_of(seconds=90.0), epoch_of(seconds=150.0)]))
    return folder


def test_row_of_a_folder_tells_of_the_steps_before_it(run, results):
    init = provenance_of(num_epochs=14, model="senet", init=provenance_of(model="senet"), recalibrated_on=7)
    write_release(
        run / "release.safetensors",
        model="senet",
        plain=0.675,
        init=init,
        teachers=TEACHERS,
        kept="final",
        hardware=HARDWARE,
        num_epochs=2,
    )
    call("--run", run)
    assert (
        "| senet-kd |  | senet | FER2013 | senet release of 2026-11-23 10:58 | net 18c426cc | 0.25 | 3 "
        f"| 2 | at most 25 (9 + 14 + 2) | 4 |  | {HARDWARE} | 67.50% | 60.00% | 0.4000 |" in results.read_text()
    )


def test_row_of_a_release_alone_is_its_recipe(tmp_path, results):
    call("--release", write_release(tmp_path / "net.safetensors"))
    assert (
        "| net |  | net | FER2013 | random | none | 0.25 | 3 | 9 | at most 9 |  |  |  | 50.00% |" in results.read_text()
    )


def test_all_epochs_of_a_run_from_random_numbers_to_its_end_are_in_its_weights(run, results):
    write_release(run / "release.safetensors", kept="final", num_epochs=2)
    call("--run", run)
    assert "| random | none | 0.25 | 3 | 2 | 2 | 4 | 4 |" in results.read_text()


def test_command_and_table_tell_no_folder_and_no_machine_that_holds_for_all_rows(run, tmp_path, results):
    write_release(run / "release.safetensors", hardware=HARDWARE)
    call("--run", run, "--release", write_release(tmp_path / "net.safetensors"), "--took", "net=20")
    text = results.read_text()
    assert "    fer-train runs --release net.safetensors --run senet-kd --took net=20 --out runs/table.md\n" in text
    assert str(tmp_path) not in text + results.with_suffix(".json").read_text()
    assert text.startswith("# Training runs\n")
    assert text.count(HARDWARE) == 1


def test_start_and_teachers_that_nobody_recorded_are_blank_and_not_none(tmp_path, results):
    provenance = provenance_of()
    provenance["config"] |= {"init": "a.safetensors", "distillation": {"teachers": ["b.safetensors"]}}
    path = write_release(tmp_path / "net.safetensors", config=provenance["config"])
    call("--release", path)
    assert "| net |  | net | FER2013 |  |  | 0.25 |" in results.read_text()


@pytest.mark.parametrize(
    ("recorded", "start"),
    [
        ({"init": provenance_of(model="net")}, "net checkpoint of 2026-11-23 10:58"),
        ({"init": provenance_of(model="net", soup={"ingredients": []})}, "net soup of 2026-11-23 10:58"),
        ({"config": provenance_of()["config"] | {"pretrained": "/a.pth"}}, "pretrained by others"),
    ],
)
def test_start_in_words(tmp_path, recorded, start):
    assert row_of_release(write_release(tmp_path / "a.safetensors", **recorded))["start"] == start


def test_soup_counts_the_epochs_of_each_ingredient_and_of_what_they_share_once(tmp_path, results):
    shared = provenance_of(num_epochs=14)
    ingredients = [{"provenance": provenance_of(num_epochs=n, init=shared)} for n in (4, 5)]
    path = write_release(tmp_path / "soup.safetensors", soup={"ingredients": ingredients})
    call("--release", path)
    assert (
        "| soup |  | net | FER2013 | mean of 2 models | none | 0.25 |  |  | at most 23 (14 + 4 + 5) |"
        in results.read_text()
    )


def test_minutes_and_hardware_from_flags_are_marked(tmp_path, results):
    path = write_release(tmp_path / "net.safetensors", init=provenance_of(num_epochs=22), num_epochs=5)
    call("--release", path, "--took", "net=84+20", "--hardware", "net=AMD EPYC, 2 cores")
    text = results.read_text()
    assert "| 5 | at most 27 (22 + 5) | 20† | 104 (84 + 20)† | AMD EPYC, 2 cores† |" in text
    assert "--took net=84+20 --hardware 'net=AMD EPYC, 2 cores' --out" in text
    call("--add", "--release", path)  # the earlier table has them
    assert "| 20† | 104 (84 + 20)† | AMD EPYC, 2 cores† |" in results.read_text()
    call("--add", "--took", "net=21")
    assert "| 21† |  | AMD EPYC, 2 cores† |" in results.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nett=3", "--took 'nett=3' is not RUN=VALUE with a run of the table (net). Fix: --took RUN=VALUE"),
        ("net", "--took 'net' is not RUN=VALUE with a run of the table (net). Fix: --took RUN=VALUE"),
        ("net=soon", "--took net=soon is not NUMBER or NUMBER+NUMBER. Fix: such as --took net=20"),
        (
            "net=-3",
            "--took net=-3 does not fit a run of 1 step(s). Fix: one number above 0, the minutes of its last step",
        ),
        (
            "net=nan",
            "--took net=nan does not fit a run of 1 step(s). Fix: one number above 0, the minutes of its last step",
        ),
        (
            "net=1+2",
            "--took net=1+2 does not fit a run of 1 step(s). Fix: one number above 0, the minutes of its last step",
        ),
    ],
)
def test_minutes_that_cannot_be_are_refused(tmp_path, results, text, message):
    done = call("--release", write_release(tmp_path / "net.safetensors"), "--took", text, code=2)
    assert done.stderr == f"error: {message}\n"
    assert not results.exists()


def test_minutes_for_some_of_the_steps_are_refused(tmp_path, results):
    path = write_release(tmp_path / "net.safetensors", init=provenance_of(init=provenance_of()))
    done = call("--release", path, "--took", "net=1+2", code=2)
    assert done.stderr == (
        "error: --took net=1+2 does not fit a run of 3 step(s). Fix: one number above 0, the minutes of its last "
        "step, or 3 numbers above 0 with + between them, oldest step first\n"
    )


def test_minutes_of_a_folder_are_not_taken_from_flags(run, results):
    write_release(run / "release.safetensors")
    done = call("--run", run, "--took", "senet-kd=5", code=2)
    assert done.stderr == (
        "error: --took 'senet-kd=5': senet-kd's own files say 4.0. Fix: leave --took 'senet-kd=5' out\n"
    )


def test_weights_that_were_not_measured_are_refused(tmp_path, results):
    path = tmp_path / "net.safetensors"
    spec = {"provenance": provenance_of(), "metrics": {}}
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"fer_model_spec": json.dumps(spec)})
    done = call("--release", path, code=4)
    assert done.stderr == (
        f"error: {path} does not say how it was trained, or was not measured on PublicTest ('PublicTest' is absent). "
        "Fix: weights of fer-train release, with --split PublicTest\n"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "no run is named. Fix: --run runs/net, or --release net.safetensors"),
        (("--add", "--out", "table.json"), "--out table.json is the Markdown of the table. Fix: --out table.md"),
    ],
)
def test_flags_that_make_no_table_are_refused(results, flags, message):
    assert call(*flags, code=2).stderr == f"error: {message}\n"


@pytest.mark.parametrize("content", ["{", "[]", '{"runs": [{"run": "a"}]}'])
def test_earlier_table_that_is_none_is_refused_and_kept(tmp_path, results, content):
    results.parent.mkdir()
    results.with_suffix(".json").write_text(content)
    done = call("--add", "--release", write_release(tmp_path / "net.safetensors"), code=4)
    assert done.stderr.startswith("error: cannot read the earlier table runs/table.json: ")
    assert done.stderr.endswith(". Fix: another --out, or leave --add out\n")
    assert results.with_suffix(".json").read_text() == content


def test_published_table_keeps_the_rows_of_the_newest_one(tmp_path, results):
    folder = tmp_path / "results"
    call("--release", write_release(tmp_path / "a.safetensors"), "--publish", folder)
    [published] = folder.glob("runs_cpu_20??-??.json")
    published.rename(folder / "runs_cpu_2025-12.json")
    call("--release", write_release(tmp_path / "b.safetensors"), "--publish", folder, "--add")
    assert [row["run"] for row in json.loads(published.read_text())["runs"]] == ["a", "b"]
    assert published.with_suffix(".md").read_text() == results.read_text()


def test_shipped_table_can_be_added_to(tmp_path, results, repo_dir):
    out = tmp_path / "table.md"
    earlier = json.loads((repo_dir / "benchmarks" / "results" / "runs_cpu_2026-12.json").read_text())
    out.with_suffix(".json").write_text(json.dumps(earlier))
    call("--add", "--out", out)
    assert json.loads(out.with_suffix(".json").read_text())["runs"] == earlier["runs"]


def test_runs_of_an_earlier_table_stay_with_add_in_their_places(tmp_path, results):
    for name, plain in (("a", 0.1), ("b", 0.2), ("a", 0.3)):
        call("--add", "--release", write_release(tmp_path / f"{name}.safetensors", plain=plain))
    assert [(row["run"], row["plain"]) for row in rows_in(results)] == [("a", 0.3), ("b", 0.2)]
    call("--release", tmp_path / "b.safetensors")
    assert len(rows_in(results)) == 1
