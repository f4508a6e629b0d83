import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fer_train import signals
from fer_train.cli import main
from fer_train.sweep import jobs, progress, sweep
from fer_train.training.folder_lock import only_run_in

FAKE = Path(__file__).with_name("fake_fer_train.py")


class Clock:
    """A substitute for `time`: an hour passes when a fake run waits, and no time otherwise."""

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
    monkeypatch.setattr(jobs, "FER_TRAIN", (sys.executable, str(FAKE)))
    clock = Clock(tmp_path / "calls.waiting")
    for module in (sweep, jobs, progress):
        monkeypatch.setattr(module, "time", clock)

    def taken():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        log.write_text("")
        return lines

    return taken


@pytest.fixture
def plan(tmp_path):
    """Return a function that writes a plan: Net of these seeds, a student of seed 9; `settings` for seeds 2 and 4."""
    base = tmp_path / "net.yaml"
    base.write_text(yaml.safe_dump({"model": "net", "learning_rate": 0.1, "seed": 0}))

    def write(jobs=2, seeds=(1, 2, 3), after_share=None, student=None, **settings):
        singles = {
            1: {"config": str(base), "seeds": [1]},
            2: {"config": str(base), "seeds": [2], "name": "other", "set": settings},
            3: {"config": str(base), "seeds": [3]},
            4: {"config": str(base), "seeds": [4], "name": "more", "set": settings},
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
def run(tmp_path, calls):
    """Return a function that sweeps and gives the content of sweep.json, and under "told" what was printed."""

    def invoke(plan, *flags, code=0):
        words = ["--plan", plan, "--data", "faces.csv", "--out", tmp_path / "out", *flags]
        result = CliRunner().invoke(main, ["sweep", *map(str, words)])
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
    assert "| net | 3 | FER2013 | 2 | 1.5 | 3.00% | 3.10% | 0.0150 |" in text
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


FERPLUS = {"labels": "ferplus", "num_classes": 8}


def test_runs_of_ferplus_labels_are_released_against_the_votes_and_keep_their_batch_norm(tmp_path, plan, run, calls):
    result = run(plan(seeds=(2, 4), student=FERPLUS, **FERPLUS), "--ferplus", "votes.csv")
    done = calls()
    assert {words[0] for words in done} == {"train", "release", "ensemble"}
    for words in done:
        assert words[words.index("--ferplus") + 1] == "votes.csv"
        assert "--recalibrate" not in words
    assert {row["labels"] for row in result["runs"]} == {"ferplus"}
    assert "| other | 2 | FER+ majority | 2 |" in result["told"]


def test_runs_of_fer2013_labels_are_released_with_new_batch_norm_and_without_votes(plan, run, calls):
    run(plan(ferplus_share=0.3, student=FERPLUS), "--ferplus", "votes.csv")
    for words in calls():
        if words[0] == "release":
            is_of_ferplus = "student-9" in words[2]
            assert ("--recalibrate" in words, "--ferplus" in words) == (not is_of_ferplus, is_of_ferplus)


def test_quantization_aware_runs_are_released_with_their_own_batch_norm(plan, run, calls):
    run(plan(quantization_aware=True))
    released = [words for words in calls() if words[0] == "release"]
    assert [("--recalibrate" in words) for words in sorted(released, key=lambda w: w[2])] == [True, True, False, True]


def test_trained_run_of_ferplus_labels_needs_the_votes_for_its_release(tmp_path, plan, run, calls, monkeypatch):
    path = plan(seeds=(2, 4), **FERPLUS)
    monkeypatch.setenv("FAKE_FAILS", "release")
    run(path, "--ferplus", "votes.csv", code=1)
    calls()
    monkeypatch.delenv("FAKE_FAILS")
    left_out = ["other-2 (needs --ferplus)", "more-4 (needs --ferplus)", "the ensemble (needs --ferplus)"]
    assert run(path)["left_out"] == [*left_out, "student-9 (needs the ensemble)"]
    assert calls() == []
    run(path, "--ferplus", "votes.csv")
    *releases, ensemble, train, release = short(calls())
    assert sorted(releases) == ["release more-4", "release other-2"]  # at the same time
    assert (ensemble, train, release) == ("ensemble", "train student-9", "release student-9")


def test_singles_of_different_labels_are_refused_before_anything_runs(tmp_path, plan, calls):
    words = ["sweep", "--plan", plan(**FERPLUS), "--data", "faces.csv", "--ferplus", "v.csv", "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 2
    assert result.stderr == (
        "error: the singles of a plan must have the same labels, for one ensemble is made of them: net-1 has labels: "
        "fer2013 of 7 classes, other-2 has labels: ferplus of 8 classes. Fix: a plan for each kind of labels\n"
    )
    assert calls() == []


def test_progress_says_which_run_of_how_many_and_what_it_reached(plan, run, calls):
    told = run(plan(jobs=1, ferplus_share=0.3))["told"]
    lines = [line.partition("; log:")[0] for line in told.splitlines()[:10]]
    assert lines == [
        "left out: other-2 (needs --ferplus)",
        "run 1 of 3, net-1: train",
        "run 1 of 3, net-1: release",
        "net-1: PublicTest 1.00% plain, 1.10% flip; 1 of 3 runs done; training time left: about 1 h 30 min; "
        "--minutes end in 10 h",
        "run 2 of 3, net-3: train",
        "run 2 of 3, net-3: release",
        "net-3: PublicTest 3.00% plain, 3.10% flip; 2 of 3 runs done; training time left: about 45 min; --minutes end "
        "in 10 h",
        "the ensemble",
        "run 3 of 3, student-9: train",
        "run 3 of 3, student-9: release",
    ]


def test_second_sweep_into_the_same_folder_is_refused(tmp_path, plan, calls):
    with only_run_in(tmp_path / "out"):
        result = CliRunner().invoke(
            main, ["sweep", "--plan", str(plan()), "--data", "faces.csv", "--out", str(tmp_path / "out")]
        )
    assert result.exit_code == 4
    assert f"error: another run is writing into {tmp_path / 'out'}. Fix: wait for its end" in result.stderr
    assert calls() == []


def test_plan_that_cannot_be_used_ends_with_its_mend(plan):
    result = CliRunner().invoke(main, ["sweep", "--plan", str(plan(jobs=0)), "--data", "faces.csv"])
    assert result.exit_code == 2
    assert re.match(r"(?s)error: cannot use the plan .*\nFix: keys as in configs/sweep/gpu.yaml\n", result.output)


def test_each_plan_has_a_folder_of_its_own(tmp_path, plan, calls, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(main, ["sweep", "--plan", str(plan()), "--data", "faces.csv", "--minutes", "0"])
    assert (tmp_path / "runs" / "sweep-plan" / "sweep.md").exists()


def test_published_table_has_the_name_of_the_hardware(tmp_path, plan, run, calls, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run(plan(), "--minutes", 0, "--publish", tmp_path / "results")
    [text] = (tmp_path / "results").glob("sweep_cpu_20??-??.md")
    assert text.read_text() == (tmp_path / "out" / "sweep.md").read_text()
    assert json.loads(text.with_suffix(".json").read_text())["left_out"]


def test_table_names_the_command_without_the_folders_of_the_machine(tmp_path, plan, run, calls, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(plan(), "--twin-rows", tmp_path / "lists" / "twins.txt", "--ferplus", "/far/away/my votes.csv")
    assert result["command"] == (
        "fer-train sweep --plan plan.yaml --data faces.csv --ferplus 'my votes.csv' --twin-rows lists/twins.txt"
    )
    written = (tmp_path / "out" / "sweep.json").read_text() + (tmp_path / "out" / "sweep.md").read_text()
    assert str(tmp_path) not in written


@pytest.mark.parametrize(("minutes", "code", "message"), [
    ("nan", 2, "error: --minutes is not a number. Fix: a number of minutes, or inf for no limit"),
    ("-1", 2, "-1.0 is not in the range x>=0"),
])  # fmt: skip
def test_minutes_that_cannot_be_are_refused(tmp_path, plan, calls, minutes, code, message):
    words = ["sweep", "--plan", plan(), "--data", "faces.csv", "--out", tmp_path / "out", "--minutes", minutes]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == code
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_sweep_without_time_limit_tells_none(plan, run, calls):
    assert "--minutes end" not in run(plan(), "--minutes", "inf")["told"]
