"""The suite runs what the machine can run, and ends with an error if a benchmark did."""

import importlib
import subprocess
from pathlib import Path
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
    monkeypatch.setattr(suite, "is_installed", lambda folder: True)
    monkeypatch.setattr(suite, "shared_clips", tuple)
    return found


def scripts_of(commands):
    return [command[1].rpartition("/")[2] for command in commands]


def options_of(commands, script):
    (command,) = (command for command in commands if command[1].endswith(f"/{script}"))
    return command[2:]


def test_a_failing_benchmark_is_named_and_the_others_run(ran):
    done = CliRunner().invoke(suite.main, ["--quick"])
    assert done.exit_code == 1
    assert "fps: failed: exit code 1" in done.output
    assert "accuracy: skipped: no --data" in done.output
    assert scripts_of(ran) == ["latency.py", "fps.py", "numbers_of_readme.py"]


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
    # The link is the environment.
    assert options_of(ran, "rivals.py") == ["--rival-python", str(tmp_path / "python")]


def test_the_full_form_names_every_script_and_why_one_is_skipped(ran, monkeypatch):
    monkeypatch.setattr(suite, "is_installed", lambda folder: False)
    done = CliRunner().invoke(suite.main, [])
    names = {path.stem for path in Path(suite.__file__).parent.glob("*.py")} - {"suite", "render"}
    notes = {line.partition(":")[0]: line for line in done.output.splitlines() if ": " in line}
    assert names <= set(notes)
    skipped = {name for name in names if ": skipped: " in notes[name]}
    assert skipped == {
        *("accuracy", "agreement", "baseline", "crop_margin", "quality"),
        *("cameras_on_triton", "shared_memory"),
    }
    assert notes["agreement"] == "agreement: skipped: no --videos: the top of agreement.py says where they are"
    assert "no Triton server. Fix: python benchmarks/shared_memory.py installs one" in notes["shared_memory"]
    assert set(scripts_of(ran)) == {f"{name}.py" for name in names - skipped} | {"numbers_of_readme.py"}


def test_clips_beside_the_checkout_are_given_to_those_that_look_for_none(ran, tmp_path, monkeypatch):
    (tmp_path / "a.csv").touch()
    monkeypatch.setattr(suite, "shared_clips", lambda: (tmp_path / "people.gif",))
    CliRunner().invoke(suite.main, ["--data", str(tmp_path / "a.csv")])
    assert options_of(ran, "crop_margin.py")[2:] == ["--clip", str(tmp_path / "people.gif")]
    assert options_of(ran, "cameras.py") == []


def test_the_full_form_gives_each_benchmark_options_that_it_has(ran, tmp_path):
    for name in ("a.csv", "b.csv", "clip.mp4"):
        (tmp_path / name).touch()
    words = ["--data", "a.csv", "--ferplus", "b.csv", "--clip", "clip.mp4", "--videos", ""]
    done = CliRunner().invoke(suite.main, [str(tmp_path / word) if "--" not in word else word for word in words])
    assert "skipped" not in done.output
    for command in ran[:-1]:
        name = Path(command[1]).stem
        known = {flag for option in importlib.import_module(name).main.params for flag in option.opts}
        assert {word for word in command[2:] if word.startswith("--")} <= known, name
    assert options_of(ran, "quality.py") == [
        *("--data", str(tmp_path / "a.csv"), "--ferplus", str(tmp_path / "b.csv")),
        *("--clip", str(tmp_path / "clip.mp4")),
    ]
    assert options_of(ran, "agreement.py") == ["--videos", str(tmp_path)]
