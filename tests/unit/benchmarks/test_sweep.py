import json
import os
import subprocess
import sys
import time
from pathlib import Path

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
    monkeypatch.setattr(sweep, "FER_TRAIN", (sys.executable, str(FAKE)))
    monkeypatch.setattr(sweep, "time", Clock(tmp_path / "calls.waiting"))
    monkeypatch.setattr("_harness.RESULTS", tmp_path / "results")

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

    def write(jobs=2, **settings):
        content = {
            "jobs": jobs,
            "singles": [
                {"config": str(base), "seeds": [1]},
                {"config": str(base), "seeds": [2], "name": "other", "set": settings},
                {"config": str(base), "seeds": [3]},
            ],
            "ensemble": {"size": 2},
            "students": [
                {"config": str(base), "seeds": [9], "name": "student", "set": {"distillation": {"weight": 0.7}}}
            ],
        }
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content))
        return tmp_path / "plan.yaml"

    return write


@pytest.fixture
def run(tmp_path):
    def invoke(plan, *flags, code=0):
        words = ["--plan", plan, "--data", "faces.csv", "--out", tmp_path / "out", *flags]
        result = CliRunner().invoke(sweep.main, [str(word) for word in words])
        assert result.exit_code == code, (result.output, result.exception)
        return json.loads((tmp_path / "out" / "sweep.json").read_text())

    return invoke


def test_plan_becomes_one_resolved_config_a_seed(tmp_path, plan):
    content = yaml.safe_load(plan(learning_rate=0.2).read_text())
    made = sweep.Sweep(content, tmp_path / "out", "faces.csv", (), (), deadline=0.0)
    singles = made.trials("singles")
    assert [(t.name, t.seed, t.out.name) for t in singles] == [
        ("net", 1, "net-1"), ("other", 2, "other-2"), ("net", 3, "net-3"),
    ]  # fmt: skip
    assert yaml.safe_load(singles[1].config.read_text()) == {"model": "net", "learning_rate": 0.2, "seed": 2}
    [student] = made.trials("students")
    assert yaml.safe_load(student.config.read_text())["distillation"] == {
        "weight": 0.7, "teachers": [str(tmp_path / "out" / "ensemble.json")],
    }  # fmt: skip


def test_shipped_plans_make_configs_that_fer_train_takes(tmp_path, repo_dir, monkeypatch):
    from fer_train.config import load_config  # noqa: PLC0415

    monkeypatch.chdir(repo_dir)
    for path in sorted(Path("configs/sweep").glob("*.yaml")):
        made = sweep.Sweep(yaml.safe_load(path.read_text()), tmp_path / path.stem, "", (), (), deadline=0.0)
        trials = [*made.trials("singles"), *made.trials("students")]
        assert len({t.out for t in trials}) == len(trials) >= 3
        assert [load_config(t.config).seed for t in trials] == [t.seed for t in trials]


def test_every_run_then_the_ensemble_of_the_best_then_the_students(tmp_path, plan, run, calls):
    result = run(plan(), "--ferplus", "votes.csv", "--twin-rows", "twins.txt")
    done = calls()
    assert sorted(words[0] for words in done) == ["ensemble", *["release"] * 4, *["train"] * 4]
    [ensemble] = [words for words in done if words[0] == "ensemble"]
    folders = [tmp_path / "out" / name / "release.safetensors" for name in ("net-3", "other-2")]
    assert ensemble[1:] == ["--checkpoint", str(folders[0]), "--checkpoint", str(folders[1]), "--data", "faces.csv",
                            "--flip", "--out", str(tmp_path / "out" / "ensemble.json")]  # fmt: skip
    assert done.index(ensemble) == 6
    for words in done:
        assert ("votes.csv" in words) == (words[0] == "train")
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
    run(plan())
    assert calls() == []  # nothing is done twice


def test_without_time_nothing_is_begun_and_the_table_says_what_is_missing(tmp_path, plan, run, calls):
    result = run(plan(), "--minutes", 0)
    assert calls() == []
    assert result["runs"] == []
    assert result["left_out"] == ["net-1", "other-2", "net-3", "the ensemble", "student-9"]
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert text.endswith("Not done: net-1, other-2, net-3, the ensemble, student-9.\n")


def test_run_that_is_stopped_by_the_minutes_is_resumed_by_the_next_call(tmp_path, plan, run, calls):
    path = plan(jobs=1, learning_rate=8)
    result = run(path, "--minutes", 10)
    assert [words[0] for words in calls()] == ["train", "release", "train"]
    assert [row["run"] for row in result["runs"]] == ["net"]
    assert result["left_out"] == ["other-2", "net-3", "the ensemble", "student-9"]
    assert (tmp_path / "out" / "other-2" / "last.pt").exists()
    result = run(path)
    begun = [words for words in calls() if words[0] == "train"]
    assert [(Path(words[words.index("--out") + 1]).name, "--resume" in words) for words in begun] == [
        ("other-2", True), ("net-3", False), ("student-9", False),
    ]  # fmt: skip
    assert result["left_out"] == []


def test_run_that_fails_leaves_the_others_going_and_is_tried_again(tmp_path, plan, run, calls, capfd):
    result = run(plan(learning_rate=9), code=1)
    assert [row["run"] for row in result["runs"]] == ["net", "net", "student"]
    assert result["left_out"] == ["other-2"]
    assert "Not done: other-2." in (tmp_path / "out" / "sweep.md").read_text()
    assert (tmp_path / "out" / "other-2" / "log.txt").read_text() == "training\nerror: the loss became nan\n"
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
    content = yaml.safe_load(plan(jobs=3, learning_rate=8).read_text())
    made = sweep.Sweep(content, tmp_path / "out", "faces.csv", (), (), deadline=1e9)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        made.run_all(made.trials("singles"))
    assert len(begun) == 3
    assert all(process.returncode is not None for process in begun)


def test_single_that_is_left_makes_no_ensemble(tmp_path, plan, run, calls):
    content = yaml.safe_load(plan().read_text())
    content["singles"] = content["singles"][:1]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(content))
    assert run(tmp_path / "plan.yaml")["left_out"] == ["the ensemble", "student-9"]
    assert [words[0] for words in calls()] == ["train", "release"]


def test_published_table_stands_under_the_name_of_the_hardware(tmp_path, plan, run, calls, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run(plan(), "--minutes", 0, "--publish")
    [text] = (tmp_path / "results").glob("sweep_cpu_20??-??.md")
    assert text.read_text() == (tmp_path / "out" / "sweep.md").read_text()
    assert json.loads(text.with_suffix(".json").read_text())["left_out"]
