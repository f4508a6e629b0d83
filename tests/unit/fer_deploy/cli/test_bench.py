"""fer-deploy bench from the command line, on a small exported network."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner

from fer_deploy.bench import measuring, outcome
from fer_deploy.bench.measuring import Plans
from fer_deploy.bench.roofline import Roof
from fer_deploy.bench.windows import WindowPlan
from fer_deploy.cli import bench as command_module
from fer_deploy.cli import main
from fer_deploy.engines import open_engine
from fer_deploy.engines.best import read_best

SHORT = WindowPlan(window_s=0.0, warm_up_s=0.0, settle_s=0.0)


def run(*args):
    return CliRunner().invoke(main, ["bench", *map(str, args)], env={"COLUMNS": "80"})


@pytest.fixture(autouse=True)
def few_calls(monkeypatch):
    """What is measured is one call; the threads are those of one core, and the machine has fixed rates."""
    plans = Plans(SHORT, SHORT, SHORT, server_s=0.01, most_batch=2, longest_ms=1e9)
    monkeypatch.setattr(outcome, "USUAL", plans)
    monkeypatch.setattr(outcome, "BRIEF", plans)
    monkeypatch.setattr(measuring, "QUICK", SHORT)
    monkeypatch.setattr(outcome, "measure_roof", lambda threads: Roof(threads, 1e10, 1e9))
    monkeypatch.setattr(command_module, "background_work", lambda: ())


@pytest.fixture
def folder(tiny_export, tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    for path in tiny_export.models:
        shutil.copy(path, folder)
    return folder


@pytest.mark.slow
def test_it_measures_tells_and_writes_what_live_reads(folder):
    done = run(folder, "--threads", "1", "--max-accuracy-drop", "100")
    assert done.exit_code == 0, done.output
    assert "one call at a time; files net-*" in done.stdout
    assert max(map(len, done.stdout[: done.stdout.index("points: ")].splitlines()[1:8])) <= 80
    assert "not measured: ONNX Runtime CUDA, TensorRT: no NVIDIA GPU" in done.stdout
    best = read_best(folder / "best.json", folder)
    assert {one.file for one in best.uses["workers"]} == {"net-fp32.onnx", "net-fp16.onnx"}
    winner = best.uses["workers"][0]
    assert done.stderr.splitlines()[-1] == (
        f"{winner.file} with {winner.engine} is the best here for workers ({folder / 'best.json'}); "
        f"now: fer-deploy live --engine {folder}"
    )
    with open_engine(folder, threads=1) as engine:
        assert engine.spec.labels


@pytest.mark.slow
def test_all_numbers_as_json(folder):
    done = run(folder, "--threads", "1", "--quick", "--json", "--max-accuracy-drop", "100")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert (content["format"], content["is_mlperf"], content["cores"]) == ("fer-bench-1", False, 1)
    first = content["uses"]["workers"][0]
    assert first["single"]["num_windows"] >= 3
    assert set(first["offline"]) <= {"1", "2"}
    assert first["share_of_roof"] > 0
    assert content["works"]["net-fp32.onnx"]["multiply_adds"] > 10**6
    assert content["cold_start"]["net-fp32.onnx, ONNX Runtime, 1 thread"]["first_ms"] > 0
    assert {one["what"] for one in content["skipped"]} == {"ONNX Runtime CUDA", "TensorRT"}
    assert str(folder.parent) not in done.stdout


@pytest.mark.slow
def test_nothing_within_the_budget_is_told_and_an_older_result_stays(folder):
    (folder / "best.json").write_text("older")
    done = run(folder, "--threads", "1", "--latency-budget", "0.000001")
    assert done.exit_code == 6
    assert "holds the limits on this machine with one call at a time:" in done.stderr
    assert "exceeds the budget of 1e-06 ms" in done.stderr
    assert "Fix: a larger --latency-budget or --max-accuracy-drop" in done.stderr
    assert (folder / "best.json").read_text() == "older"


@pytest.mark.slow
def test_work_beside_it_is_named_with_its_pause(folder, monkeypatch):
    work = command_module.background_work
    assert work() == ()
    from fer_deploy.bench.host import BackgroundWork  # noqa: PLC0415

    monkeypatch.setattr(command_module, "background_work", lambda: (BackgroundWork(7, "fer-train train"),))
    done = run(folder, "--threads", "1", "--max-accuracy-drop", "100")
    assert "warning: fer-train train runs, so times are worthless. Fix: kill -STOP 7 pauses it" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(folder):
    folder.chmod(0o555)
    done = run(folder)
    assert (done.exit_code, "the folder is read-only. Fix: cp -r" in done.stderr) == (4, True)


def test_a_folder_that_cannot_be_written(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    done = run(folder)
    assert done.exit_code == 4
    assert f"cannot write {folder / 'best.json'}: the folder is read-only. Fix: cp -r {folder} " in done.stderr


@pytest.mark.parametrize(("make", "code", "text"), [
    (lambda path: None, 4, "no folder "),
    (lambda path: path.mkdir(), 4, "has no model (.onnx, .plan, .engine)"),
    (lambda path: path.write_text("text"), 4, "is a file, expected a folder of models"),
])  # fmt: skip
def test_bad_folders(tmp_path, make, code, text):
    make(tmp_path / "bad")
    done = run(tmp_path / "bad")
    assert (done.exit_code, text in done.stderr, "Fix: " in done.stderr) == (code, True, True)


def test_more_threads_than_cores(folder):
    done = run(folder, "--threads", "4096")
    assert (done.exit_code, "4096 threads were requested" in done.stderr) == (2, True)


def test_a_device_that_is_not_there(folder):
    done = run(folder, "--device", "cuda", "--threads", "1")
    assert done.exit_code == 7
    assert f"nothing in {folder} runs on this machine:" in done.stderr
    assert "ONNX Runtime CUDA: no NVIDIA GPU" in done.stderr
