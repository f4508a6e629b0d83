"""A sweep that runs the fake fer-train."""

import json
import sys

import pytest
import yaml
from click.testing import CliRunner
from unit.fer_train.sweep.sweep_cases import FAKE, Clock

from fer_train.cli import main
from fer_train.sweep import jobs, progress, sweep


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


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The table's file: the default, from a working directory apart from the runs."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work / "runs" / "table.md"
