"""The suite runs what the machine can run, and ends with an error if a benchmark did."""

import subprocess
from types import SimpleNamespace

import pytest
import suite
from click.testing import CliRunner


@pytest.fixture
def ran(monkeypatch):
    """Commands that the suite would have run; that of fps.py fails."""
    found = []

    def run(command, **how):
        found.append(command)
        return SimpleNamespace(returncode=int(any(str(word).endswith("fps.py") for word in command)))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(suite, "export_once", lambda checkpoint, folder: folder)
    monkeypatch.setattr(suite, "background_work", tuple)
    monkeypatch.setattr(suite, "shared_yunet", lambda: None)
    return found


def test_a_failing_benchmark_is_named_and_the_others_run(ran):
    done = CliRunner().invoke(suite.main, ["--quick"])
    assert done.exit_code == 1
    assert "fps: failed: exit code 1" in done.output
    assert "accuracy: skipped: no --data" in done.output
    assert [command[1].rpartition("/")[2] for command in ran] == ["latency.py", "fps.py", "numbers_of_readme.py"]


def test_a_benchmark_is_given_the_whole_path(ran, tmp_path, monkeypatch):
    (tmp_path / "faces.csv").touch()
    monkeypatch.chdir(tmp_path)  # benchmarks run in the repository
    CliRunner().invoke(suite.main, ["--quick", "--data", "faces.csv"])
    accuracy = next(command for command in ran if command[1].endswith("accuracy.py"))
    assert accuracy[accuracy.index("--data") + 1] == str(tmp_path / "faces.csv")


def test_the_full_form_runs_other_projects_in_their_pythons(ran, tmp_path, monkeypatch):
    (tmp_path / "real").touch()
    (tmp_path / "python").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(suite.main, ["--rival-python", "python"])
    command = next(command for command in ran if command[1].endswith("rivals.py"))
    assert command[2:] == ["--rival-python", str(tmp_path / "python")]  # the link is the environment
