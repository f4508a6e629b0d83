import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import _sweep_jobs
import pytest
import sweep
import yaml
from click.testing import CliRunner

FAKE = Path(__file__).with_name("fake_fer_train.py")


class Clock:
    """In place of `time`: an hour passes as soon as a fake run waits, and else nothing, however slow the machine is."""

    def __init__(self, waiting):
        self.now = 0.0
        self.waiting = waiting

    def monotonic(self):
        return self.now

    def sleep(self, _):
        time.sleep(0.01)
        if self.waiting.exists():
            self.waiting.unlink()
            self.now += 3600


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Return a function that gives the commands so far and forgets them."""
    log = tmp_path / "calls"
    log.touch()
    monkeypatch.setenv("FAKE_CALLS", str(log))
    monkeypatch.setattr(_sweep_jobs, "FER_TRAIN", (sys.executable, str(FAKE)))
    clock = Clock(tmp_path / "calls.waiting")
    monkeypatch.setattr(sweep, "time", clock)
    monkeypatch.setattr(_sweep_jobs, "time", clock)
    monkeypatch.setattr("harness.measuring.RESULTS", tmp_path / "results")

    def taken():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        log.write_text("")
        return lines

    return taken


@pytest.fixture
def plan(tmp_path):
    """Return a function that writes a plan: Net with seeds 1 to 3, one student of seed 9; `settings` for seed 2."""
    base = tmp_path / "net.yaml"
    base.write_text(yaml.safe_dump({"model": "net", "learning_rate": 0.1, "seed": 0}))

    def write(jobs=2, seeds=(1, 2, 3), after_share=None, student=None, **settings):
        singles = {
            1: {"config": str(base), "seeds": [1]},
            2: {"config": str(base), "seeds": [2], "name": "other", "set": settings},
            3: {"config": str(base), "seeds": [3]},
        }
        taught = {"distillation": {"weight": 0.7}} | (student or {})
        content = {
            "jobs": jobs,
            "singles": [singles[seed] for seed in seeds],
            "ensemble": {"size": 2, "after_share": after_share},
            "students": [{"config": str(base), "seeds": [9], "name": "student", "set": taught}],
        }
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "plan.yaml"

    return write


@pytest.fixture
def run(tmp_path):
    """Return a function that sweeps and gives what sweep.json holds, and under "told" what was printed."""

    def invoke(plan, *flags, code=0):
        words = ["--plan", plan, "--data", "faces.csv", "--out", tmp_path / "out", *flags]
        result = CliRunner().invoke(sweep.main, [str(word) for word in words])
        assert result.exit_code == code, (result.output, result.exception)
        return json.loads((tmp_path / "out" / "sweep.json").read_text()) | {"told": result.output}

    return invoke


def short(calls):
    """Return the commands as "train net-1", "train net-1 --resume", "release net-1" and "ensemble"."""
    named = []
    for words in calls:
        out = Path(words[words.index("--out") + 1])
        run = {"train": [out.name], "release": [out.parent.name]}.get(words[0], [])
        named.append(" ".join([words[0], *run, *(word for word in words if word == "--resume")]))
    return named


def test_every_run_then_the_ensemble_of_the_best_then_the_students(tmp_path, plan, run, calls):
    result = run(plan(ferplus_share=0.3), "--ferplus", "votes.csv", "--twin-rows", "twins.txt")
    done = calls()
    assert sorted(words[0] for words in done) == ["ensemble", *["release"] * 4, *["train"] * 4]
    [ensemble] = [words for words in done if words[0] == "ensemble"]
    folders = [tmp_path / "out" / name / "release.safetensors" for name in ("net-3", "other-2")]
    assert ensemble[1:] == ["--checkpoint", str(folders[0]), "--checkpoint", str(folders[1]), "--data", "faces.csv",
                            "--flip", "--out", str(tmp_path / "out" / "ensemble.json")]  # fmt: skip
    assert done.index(ensemble) == 6
    for words in done:
        assert ("votes.csv" in words) == (words[0] == "train" and "other" in words[2])
        assert ("twins.txt" in words) == (words[0] != "ensemble")
    assert [(row["run"], row["seed"], row["epochs"], row["minutes"], row["plain"]) for row in result["runs"]] == [
        ("net", 1, 2, 1.5, 0.01), ("other", 2, 2, 1.5, 0.02), ("net", 3, 2, 1.5, 0.03), ("student", 9, 2, 1.5, 0.09),
    ]  # fmt: skip
    assert result["left_out"] == []
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert "| net | 3 | 2 | 1.5 | 3.00% | 3.10% | 0.0150 |" in text
    assert "Ensemble: net-3 (0.50), other-2 (0.50)" in text
    assert "| equal weights | 50.00% | 50.00% |" in text
    assert "Not done" not in text
    assert "all done; table" in result["told"]
    run(plan(ferplus_share=0.3))
    assert calls() == []  # nothing is done twice


def test_without_time_nothing_is_begun_and_the_table_says_what_is_missing(tmp_path, plan, run, calls):
    result = run(plan(ferplus_share=0.3), "--minutes", 0)
    assert calls() == []
    assert result["left_out"] == ["net-1", "other-2 (needs --ferplus)", "net-3", "the ensemble", "student-9"]
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert text.endswith("Not done: net-1, other-2 (needs --ferplus), net-3, the ensemble, student-9.\n")
    assert "time is up; the same command goes on, without other-2 (needs --ferplus); table" in result["told"]


def test_run_that_is_stopped_by_the_minutes_is_resumed_by_the_next_call(tmp_path, plan, run, calls):
    path = plan(jobs=1, learning_rate=8)
    result = run(path, "--minutes", 10)
    assert short(calls()) == ["train net-1", "release net-1", "train other-2"]
    assert [row["run"] for row in result["runs"]] == ["net"]
    assert result["left_out"] == ["other-2", "net-3", "the ensemble", "student-9"]
    assert "time is up; the same command goes on; table" in result["told"]
    assert (tmp_path / "out" / "other-2" / "last.pt").exists()
    result = run(path)
    assert short(calls()) == [
        "train other-2 --resume", "release other-2", "train net-3", "release net-3",
        "ensemble", "train student-9", "release student-9",
    ]  # fmt: skip
    assert result["left_out"] == []


@pytest.mark.parametrize("place", [5, 7])
def test_release_is_stopped_by_the_minutes_as_well(plan, run, calls, place):
    path = plan(jobs=1, learning_rate=place)
    assert run(path, "--minutes", 10)["left_out"] == ["other-2", "net-3", "the ensemble", "student-9"]
    assert short(calls())[2:] == ["train other-2", "release other-2"]
    assert run(path)["left_out"] == []
    assert short(calls())[:2] == ["release other-2", "train net-3"]


def test_release_keeps_no_other_run_waiting(plan, run, calls):
    result = run(plan(learning_rate=6))
    assert result["left_out"] == []
    assert "ensemble" in short(calls())


def test_run_that_fails_leaves_the_others_going_and_is_tried_again(tmp_path, plan, run, calls):
    result = run(plan(learning_rate=9), code=1)
    assert [row["run"] for row in result["runs"]] == ["net", "net", "student"]
    assert result["left_out"] == ["other-2"]
    assert "Not done: other-2." in (tmp_path / "out" / "sweep.md").read_text()
    assert (tmp_path / "out" / "other-2" / "log.txt").read_text() == "training\nerror: the loss became nan\n"
    assert "other-2 ended with 9:\ntraining\nerror: the loss became nan\n" in result["told"]
    assert f"Error: failed: other-2 ({tmp_path}/out/other-2/log.txt). Fix: see the logs" in result["told"]
    calls()
    plan(learning_rate=0.1)
    assert run(tmp_path / "plan.yaml")["left_out"] == []
    assert [words[0] for words in calls()] == ["train", "release"]


@pytest.mark.parametrize("end", [KeyboardInterrupt, sweep.end_by_sigterm])
def test_sweep_that_is_stopped_takes_its_runs_with_it(tmp_path, plan, calls, monkeypatch, end):
    begun = []

    class Watched(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            begun.append(self)

    def sleep(_):
        waiting = Path(os.environ["FAKE_CALLS"] + ".waiting")
        for _ in range(1000):
            if waiting.exists():
                break
            time.sleep(0.01)
        if end is KeyboardInterrupt:
            raise KeyboardInterrupt
        end()

    monkeypatch.setattr(subprocess, "Popen", Watched)
    monkeypatch.setattr(sweep.time, "sleep", sleep)
    content = sweep.read_plan(plan(jobs=3, learning_rate=8))
    made = sweep.Sweep(content, tmp_path / "out", sweep.Files("faces.csv"), minutes=600)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        made.work()
    assert len(begun) == 3
    assert all(process.returncode is not None for process in begun)


@pytest.mark.parametrize(("command", "num_left", "begun"), [("release", 5, 3), ("ensemble", 2, 0)])
def test_release_or_ensemble_that_fails_is_told_and_tried_again(
    plan, run, calls, monkeypatch, command, num_left, begun
):
    monkeypatch.setenv("FAKE_FAILS", command)
    result = run(plan(), code=1)
    assert result["left_out"] == ["net-1", "other-2", "net-3", "the ensemble", "student-9"][-num_left:]
    assert f"error: {command} failed" in result["told"]
    calls()
    monkeypatch.delenv("FAKE_FAILS")
    assert run(plan())["left_out"] == []
    assert [words[0] for words in calls()] == [*["release"] * begun, "ensemble", "train", "release"]


def test_runs_that_need_votes_are_left_out_without_them_and_done_with_them(plan, run, calls):
    path = plan(ferplus_share=0.3, student={"ferplus_share": 0.2})
    result = run(path)
    done = calls()
    assert sorted(words[0] for words in done) == ["ensemble", *["release"] * 2, *["train"] * 2]
    beyond = "other-2 (needs --ferplus), student-9 (needs --ferplus)"
    assert result["left_out"] == beyond.split(", ")
    assert result["told"].startswith(f"left out: {beyond}\n")
    assert f"Not done: {beyond}.\n" in result["told"]
    assert f"all done but {beyond}; table: " in result["told"]
    assert run(path, "--ferplus", "votes.csv")["left_out"] == []
    assert sorted(short(calls())) == ["release other-2", "release student-9", "train other-2", "train student-9"]


def test_single_that_is_alone_makes_no_ensemble_and_no_student(plan, run, calls):
    result = run(plan(seeds=(1, 2), ferplus_share=0.3))
    assert short(calls()) == ["train net-1", "release net-1"]
    beyond = "the ensemble (needs two singles), student-9 (needs the ensemble)"
    assert f"all done but other-2 (needs --ferplus), {beyond}; table" in result["told"]


def test_ensemble_that_is_due_waits_for_no_single_and_the_students_come_next(plan, run, calls):
    result = run(plan(jobs=1, seeds=(1, 3, 2), after_share=0.5, learning_rate=8), "--minutes", 100)
    assert short(calls()) == [
        "train net-1", "release net-1", "train net-3", "release net-3", "train other-2",
        "ensemble", "train student-9", "release student-9", "train other-2 --resume", "release other-2",
    ]  # fmt: skip
    assert "stopping other-2\n" in result["told"]
    assert "Ensemble: net-3 (0.50), net-1 (0.50)" in result["told"]
    assert result["left_out"] == []


def test_ensemble_that_is_due_waits_for_two_singles(plan, run, calls):
    result = run(plan(seeds=(2, 1, 3), after_share=0.5, learning_rate=8), "--minutes", 100)
    done = short(calls())
    assert done.index("release net-1") < done.index("release net-3") < done.index("ensemble")
    assert done.index("ensemble") < min(done.index("train student-9"), done.index("train other-2 --resume"))
    assert result["left_out"] == []


def test_what_is_left_of_a_sweep_goes_on_in_the_order_of_its_worth(tmp_path, plan, run, calls):
    path, out = plan(jobs=1), tmp_path / "out"
    run(path)
    calls()
    (out / "ensemble.json").unlink()
    shutil.rmtree(out / "student-9")
    run(path, "--minutes", 0)
    assert calls() == []
    run(path)
    assert short(calls()) == ["ensemble", "train student-9", "release student-9"]
    shutil.rmtree(out / "student-9")
    shutil.rmtree(out / "net-1")
    run(path)
    assert short(calls()) == ["train student-9", "release student-9", "train net-1", "release net-1"]


def test_plan_that_cannot_be_used_ends_with_its_mend(plan):
    result = CliRunner().invoke(sweep.main, ["--plan", str(plan(jobs=0)), "--data", "faces.csv"])
    assert result.exit_code == 1
    assert re.match(r"(?s)Error: cannot use the plan .*\nFix: keys as in configs/sweep/gpu.yaml\n", result.output)


def test_each_plan_has_a_folder_of_its_own(tmp_path, plan, calls, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(sweep.main, ["--plan", str(plan()), "--data", "faces.csv", "--minutes", "0"])
    assert (tmp_path / "runs" / "sweep-plan" / "sweep.md").exists()


def test_published_table_stands_under_the_name_of_the_hardware(tmp_path, plan, run, calls, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run(plan(), "--minutes", 0, "--publish")
    [text] = (tmp_path / "results").glob("sweep_cpu_20??-??.md")
    assert text.read_text() == (tmp_path / "out" / "sweep.md").read_text()
    assert json.loads(text.with_suffix(".json").read_text())["left_out"]
