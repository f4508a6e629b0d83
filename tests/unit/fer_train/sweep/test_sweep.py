import os
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from click.testing import CliRunner
from unit.fer_train.sweep.sweep_cases import short

from fer_train import signals
from fer_train.cli import main
from fer_train.sweep import jobs


def test_every_run_then_the_ensemble_of_the_best_then_the_students(tmp_path, plan, run, calls):
    result = run(plan(ferplus_share=0.3), "--ferplus", "votes.csv", "--twin-rows", "twins.txt")
    done = calls()
    assert sorted(words[0] for words in done) == ["ensemble", *["release"] * 4, *["train"] * 4]
    [ensemble] = [words for words in done if words[0] == "ensemble"]
    folders = [tmp_path / "out" / name / "release.safetensors" for name in ("net-3", "other-2")]
    assert ensemble[1:] == [
        "--checkpoint",
        str(folders[0]),
        "--checkpoint",
        str(folders[1]),
        "--data",
        "faces.csv",
        "--flip",
        "--out",
        str(tmp_path / "out" / "ensemble.json"),
    ]
    assert done.index(ensemble) == 6
    for words in done:
        assert ("votes.csv" in words) == (words[0] == "train" and "other" in words[2])
        assert ("twins.txt" in words) == (words[0] != "ensemble")
    assert [(row["run"], row["seed"], row["epochs"], row["minutes"], row["plain"]) for row in result["runs"]] == [
        ("net", 1, 2, 1.5, 0.01),
        ("other", 2, 2, 1.5, 0.02),
        ("net", 3, 2, 1.5, 0.03),
        ("student", 9, 2, 1.5, 0.09),
    ]
    assert result["left_out"] == []
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert "| net | 3 | FER2013 | 2 | 1.5 | 3.00% | 3.10% | 0.0150 |" in text
    assert "Ensemble: net-3 (0.50), other-2 (0.50)" in text
    assert "| equal weights | 50.00% | 50.00% |" in text
    assert "Not done" not in text
    assert "all done; table" in result["told"]
    run(plan(ferplus_share=0.3))
    assert calls() == []  # nothing is done twice


def test_plan_of_singles_alone_makes_no_ensemble(tmp_path, plan, run, calls):
    path = plan()
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({key: content[key] for key in ("jobs", "singles")}))
    assert run(path, "--minutes", 0)["left_out"] == ["net-1", "other-2", "net-3"]
    assert run(path)["left_out"] == []
    assert sorted(words[0] for words in calls()) == [*["release"] * 3, *["train"] * 3]
    assert not (tmp_path / "out" / "ensemble.json").exists()
    assert "nsemble" not in (tmp_path / "out" / "sweep.md").read_text()


def test_ensemble_of_an_older_plan_in_the_folder_is_not_reported_for_a_plan_without_one(tmp_path, plan, run):
    path = plan()
    assert run(path)["ensemble"] is not None
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({"jobs": 1, "singles": content["singles"][:1]}))
    assert run(path)["ensemble"] is None
    assert "nsemble" not in (tmp_path / "out" / "sweep.md").read_text()


def test_without_time_nothing_is_begun_and_the_table_says_what_is_missing(tmp_path, plan, run, calls):
    result = run(plan(ferplus_share=0.3), "--minutes", 0)
    assert calls() == []
    assert result["left_out"] == ["net-1", "other-2 (needs --ferplus)", "net-3", "the ensemble", "student-9"]
    text = (tmp_path / "out" / "sweep.md").read_text()
    assert text.endswith("Not done: net-1, other-2 (needs --ferplus), net-3, the ensemble, student-9.\n")
    assert "time is up; the same command continues, without other-2 (needs --ferplus); table" in result["told"]


def test_run_that_is_stopped_by_the_minutes_is_resumed_by_the_next_call(tmp_path, plan, run, calls):
    path = plan(jobs=1, learning_rate=8)
    result = run(path, "--minutes", 10)
    assert short(calls()) == ["train net-1", "release net-1", "train other-2"]
    assert [row["run"] for row in result["runs"]] == ["net"]
    assert result["left_out"] == ["other-2", "net-3", "the ensemble", "student-9"]
    assert "time is up; the same command continues; table" in result["told"]
    assert (tmp_path / "out" / "other-2" / "last.pt").exists()
    result = run(path)
    assert short(calls()) == [
        "train other-2 --resume",
        "release other-2",
        "train net-3",
        "release net-3",
        "ensemble",
        "train student-9",
        "release student-9",
    ]
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
    assert f"error: failed: other-2 ({tmp_path}/out/other-2/log.txt). Fix: see the logs" in result["told"]
    calls()
    plan(learning_rate=0.1)
    assert run(tmp_path / "plan.yaml")["left_out"] == []
    assert [words[0] for words in calls()] == ["train", "release"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sweep_that_is_stopped_takes_its_runs_with_it_and_says_how_to_continue(
    tmp_path, plan, calls, monkeypatch, number
):
    begun = []

    class Watched(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            begun.append(self)

    def sleep(_):
        if len(begun) >= 3 and (tmp_path / "calls.waiting").exists():
            os.kill(os.getpid(), number)
        time.sleep(0.01)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    monkeypatch.setattr(jobs.time, "sleep", sleep)
    words = ["sweep", "--plan", plan(jobs=3, learning_rate=8), "--data", "faces.csv", "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 128 + number
    assert all(process.returncode is not None for process in begun)
    assert "stopping " in result.stderr
    kept = f"finished runs and epochs are in {tmp_path / 'out'}: the same command continues\n"
    assert result.stderr.endswith(f"{signals.message()}; {kept}")
    assert not (tmp_path / "out" / "sweep.md").exists()


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
        "train net-1",
        "release net-1",
        "train net-3",
        "release net-3",
        "train other-2",
        "ensemble",
        "train student-9",
        "release student-9",
        "train other-2 --resume",
        "release other-2",
    ]
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
