"""fer-deploy bench from the command line; a folder with tiny networks is measured once."""

import dataclasses
import json
import os
import shutil

import pytest
from click.testing import CliRunner
from unit.fer_deploy.pack.pack_models import write_export

from fer_deploy.artifacts import bundled_files
from fer_deploy.bench import outcome
from fer_deploy.bench.machine.energy import EnergyMeter
from fer_deploy.bench.machine.host import BackgroundWork
from fer_deploy.bench.machine.roofline import Roof
from fer_deploy.bench.outcome import BenchConfig, run_bench
from fer_deploy.bench.plans import BRIEF, USUAL, Plans
from fer_deploy.bench.ranking import rank
from fer_deploy.bench.windows import WindowPlan
from fer_deploy.cli import bench as command_module
from fer_deploy.cli import main
from fer_deploy.engines import open_engine
from fer_deploy.engines.best import read_best
from fer_deploy.engines.onnx_file.messages import parse_model

SHORT = WindowPlan(window_s=0.0, warm_up_s=0.0, settle_s=0.0)
CONFIG = BenchConfig(threads=1, max_accuracy_drop=100)


def run(*args):
    return CliRunner().invoke(main, ["bench", *map(str, args)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of an export; only read it."""
    folder = tmp_path_factory.mktemp("models")
    return write_export(folder / "tiny", folder)


@pytest.fixture(scope="module")
def measured(models):
    """What `run_bench` returns for it, with a single call in every window and fixed rates of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        plans = Plans(SHORT, SHORT, SHORT, SHORT, server_s=0.01, most_batch=2, longest_ms=1e9)
        patch.setattr(outcome, "USUAL", plans)
        patch.setattr(outcome, "measure_roof", lambda threads: Roof(threads, 1e10, 1e9))
        return run_bench(models, CONFIG)


@pytest.fixture
def folder(models, tmp_path, monkeypatch):
    monkeypatch.setattr(command_module, "background_work", lambda: ())
    return shutil.copytree(models, tmp_path / "net")


@pytest.fixture
def bench(folder, measured, monkeypatch):
    """Run the command on the folder with results that were measured before, or a changed copy of them."""

    def command(*words, **changes):
        found = dataclasses.replace(measured, folder=folder, **changes)
        monkeypatch.setattr(command_module, "run_bench", lambda *_, **__: found)
        return run(folder, *words)

    return command


@pytest.mark.slow
def test_it_prints_and_writes_what_live_reads(bench, folder):
    done = bench()
    assert done.exit_code == 0, done.output
    assert "a worker on each core: there is one core, so the same" in done.stdout
    assert "one call at a time; files tiny-*" in done.stdout
    assert max(map(len, done.stdout[: done.stdout.index("points: ")].splitlines()[1:8])) <= 80
    assert "not measured: ONNX Runtime CUDA, TensorRT: no NVIDIA GPU" in done.stdout
    assert "roof: share of what FP32 products" in done.stdout
    assert "leaves out" not in done.stdout
    best = read_best(folder / "best.json", folder)
    assert {one.file for one in best.uses["workers"]} == {"tiny-fp32.onnx", "tiny-fp16.onnx"}
    winner = best.uses["workers"][0]
    assert done.stderr.splitlines()[-1] == (
        f"{winner.file} with {winner.engine} is the best here for workers ({folder / 'best.json'}); "
        f"now: fer-deploy live --engine {folder}"
    )
    with open_engine(folder, threads=1) as engine:
        assert engine.spec.labels


def test_all_numbers_as_json(bench, folder):
    done = bench("--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert (content["format"], content["is_mlperf"], content["cores"]) == ("fer-bench-1", False, 1)
    assert content["left_out"] == []
    first = content["uses"]["workers"][0]
    assert first["single"]["num_windows"] >= 3
    assert set(first["offline"]) <= {"1", "2"}
    assert first["share_of_roof"] > 0
    assert content["works"]["tiny-fp32.onnx"]["multiply_adds"] > 10**6
    assert content["cold_start"]["tiny-fp32.onnx, ONNX Runtime, 1 thread"]["first_ms"] > 0
    assert {one["what"] for one in content["skipped"]} == {"ONNX Runtime CUDA", "TensorRT", "tiny-int8.onnx"}
    assert str(folder.parent) not in done.stdout


@pytest.mark.parametrize(
    ("meter", "words"),
    [
        (EnergyMeter("RAPL", "", ()), "mJ: energy of the whole machine for one face: read from RAPL"),
        (EnergyMeter("", "no NVML"), "\nenergy of the whole machine for one face: not readable here: no NVML"),
    ],
)
def test_energy_or_why_there_is_none(bench, meter, words, measured):
    with_energy = {
        use: [dataclasses.replace(one, result=dataclasses.replace(one.result, joules=0.0123)) for one in ranked]
        for use, ranked in measured.ranked.items()
    }
    done = bench(meter=meter, ranked=with_energy if meter.source else measured.ranked)
    assert words in done.stdout
    assert ("12.3" in done.stdout) == bool(meter.source)
    assert max(map(len, done.stdout[: done.stdout.index("points: ")].splitlines()[1:8])) <= 80


def test_a_look_says_what_it_leaves_out(bench):
    changes = {"roofs": {}, "server": None, "left_out": BRIEF.left_out(USUAL)}
    shown, content = bench(**changes), json.loads(bench("--json", **changes).stdout)
    assert "a look (--quick) leaves out: windows of 0.4 s: they last 0.1 s; answers on 256 faces" in shown.stdout
    assert "roof" not in shown.stdout.partition("a look")[0]
    assert (content["left_out"][-1], content["uses"]["single"][0]["share_of_roof"]) == ("share of the roof", None)


@pytest.mark.parametrize(("quick", "plans"), [(True, BRIEF), (False, USUAL)])
def test_quick_chooses_the_brief_plan(models, monkeypatch, quick, plans):
    class ChosenError(Exception):
        pass

    def chosen(goal, limits, plans, cores, on_message):
        raise ChosenError(plans)

    monkeypatch.setattr(outcome, "Measuring", chosen)
    with pytest.raises(ChosenError) as caught:
        run_bench(models, BenchConfig(threads=1, quick=quick))
    assert caught.value.args == (plans,)


def test_nothing_within_the_budget_is_told_and_an_older_result_stays(bench, folder, measured):
    (folder / "best.json").write_text("older")
    config = CONFIG.model_copy(update={"latency_budget": 1e-6})
    ranked = {
        use: rank([one.result for one in found], config.goal, config.limits) for use, found in measured.ranked.items()
    }
    done = bench(config=config, ranked=ranked)
    assert done.exit_code == 6
    assert "holds the limits on this machine with one call at a time:" in done.stderr
    assert "exceeds the budget of 1e-06 ms" in done.stderr
    assert "Fix: a larger --latency-budget or --max-accuracy-drop" in done.stderr
    assert (folder / "best.json").read_text() == "older"


def test_without_a_folder_the_bundled_models_are_measured(measured, monkeypatch, tmp_path):
    asked = []

    def run_bench(folder, config, *, only, on_message):
        asked.append((folder, sorted(only)))
        return dataclasses.replace(measured, config=config)

    monkeypatch.setattr(command_module, "run_bench", run_bench)
    monkeypatch.setattr(command_module, "background_work", lambda: ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    done = run("--goal", "throughput")
    assert done.exit_code == 0, done.output
    families = ("ferplus", "nano-ferplus", "fer2013")
    assert asked == [(files[0].parent, sorted(p.name for p in files)) for files in map(bundled_files, families)]
    target = tmp_path / "new" / "fer-deploy" / "bench" / "ferplus.json"
    assert read_best(target, tmp_path).goal == "throughput"
    assert "--model ferplus\n" in done.stdout
    assert f"is the best here for workers ({target}); now: fer-deploy live --model ferplus" in done.stderr
    assert set(json.loads(run("--json").stdout)) == set(families)


def test_a_bundled_family_that_breaks_the_limits_keeps_no_other_from_its_file(measured, monkeypatch, tmp_path):
    config = CONFIG.model_copy(update={"latency_budget": 1e-6})
    ranked = {
        use: rank([one.result for one in found], config.goal, config.limits) for use, found in measured.ranked.items()
    }
    late = dataclasses.replace(measured, config=config, ranked=ranked)
    first = bundled_files("ferplus")[0].name
    monkeypatch.setattr(command_module, "run_bench", lambda *_, only, **__: late if first in only else measured)
    monkeypatch.setattr(command_module, "background_work", lambda: ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = run()
    assert done.exit_code == 6
    assert "--model ferplus: nothing in" in done.stderr
    written = {path.stem for path in (tmp_path / "fer-deploy" / "bench").glob("*.json")}
    assert written == {"nano-ferplus", "fer2013"}


@pytest.mark.slow
def test_a_file_that_no_runtime_opens_costs_the_others_nothing(models, tmp_path, monkeypatch):
    folder = shutil.copytree(models, tmp_path / "net")
    broken = parse_model((folder / "tiny-fp32.onnx").read_bytes())
    broken.graph.node[0].op_type = "NoSuchOperator"
    (folder / "tiny-fp32.onnx").write_bytes(broken.SerializeToString())
    plans = Plans(SHORT, SHORT, SHORT, SHORT, server_s=None, most_batch=1, longest_ms=1e9, has_roofs=False)
    monkeypatch.setattr(outcome, "USUAL", plans)
    found = run_bench(folder, CONFIG)
    assert {one.result.artifact.path.name for one in found.ranked["single"]} == {"tiny-fp16.onnx"}
    assert any(one.what.startswith("tiny-fp32.onnx") and "NoSuchOperator" in one.reason for one in found.skipped)
    assert set(found.works) == {"tiny-fp16.onnx"}


def test_a_cache_that_cannot_be_written_is_told_first(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = run()
    assert done.exit_code == 4
    assert "Fix: XDG_CACHE_HOME=FOLDER that can be written" in done.stderr


def test_layers_need_a_model():
    done = run("--layers")
    assert (done.exit_code, "--layers takes one model" in done.stderr) == (2, True)


def test_work_beside_it_is_named_with_its_pause(bench, monkeypatch):
    monkeypatch.setattr(command_module, "background_work", lambda: (BackgroundWork(7, "fer-train train"),))
    done = bench()
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


@pytest.mark.parametrize(
    ("make", "code", "text"),
    [
        (lambda path: None, 4, "no folder "),
        (lambda path: path.mkdir(), 4, "has no model (.onnx, .plan, .engine)"),
        (lambda path: path.write_text("text"), 4, "is a file, expected a folder of models"),
    ],
)
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
