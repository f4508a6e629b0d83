"""What the command of a sweep refuses, prints and publishes."""

import json
import re

import pytest
from click.testing import CliRunner
from unit.fer_train.sweep.sweep_cases import FERPLUS

from fer_train.cli import main
from fer_train.training.folder_lock import only_run_in


def test_singles_of_different_labels_are_refused_before_anything_runs(tmp_path, plan, calls):
    words = ["sweep", "--plan", plan(**FERPLUS), "--data", "faces.csv", "--ferplus", "v.csv", "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == 2
    assert result.stderr == (
        "error: the singles of a plan must have the same labels, for one ensemble is made of them: net-1 has labels: "
        "fer2013 of 7 classes, other-2 has labels: ferplus of 8 classes. Fix: a plan for each kind of labels, or a "
        "plan without `ensemble`\n"
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


@pytest.mark.parametrize(
    ("minutes", "code", "message"),
    [
        ("nan", 2, "error: --minutes is not a number. Fix: a number of minutes, or inf for no limit"),
        ("-1", 2, "-1.0 is not in the range x>=0"),
    ],
)
def test_minutes_that_cannot_be_are_refused(tmp_path, plan, calls, minutes, code, message):
    words = ["sweep", "--plan", plan(), "--data", "faces.csv", "--out", tmp_path / "out", "--minutes", minutes]
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == code
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_sweep_without_time_limit_tells_none(plan, run, calls):
    assert "--minutes end" not in run(plan(), "--minutes", "inf")["told"]
