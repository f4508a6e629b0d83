"""The suite runs what the machine can run, and ends with an error if a benchmark did."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import suite
from click.testing import CliRunner


@pytest.fixture
def ran(monkeypatch):
    """Words of Python that the suite would have run; fps.py fails."""
    found = []

    def run(words, *, quiet=False):
        found.append([str(word) for word in words])
        return int(any(str(word).endswith("fps.py") for word in words))

    monkeypatch.setattr(suite, "run_program", run)
    monkeypatch.setattr(suite, "why_not_exported", lambda checkpoint, folder: "")
    monkeypatch.setattr(suite.Step, "known_s", None)
    monkeypatch.setattr(suite, "background_work", tuple)
    monkeypatch.setattr(suite, "shared_yunet", lambda: None)
    monkeypatch.setattr(suite, "is_installed", lambda folder: True)
    monkeypatch.setattr(suite, "shared_clips", tuple)
    return found


def scripts_of(commands):
    return [command[0].rpartition("/")[2] for command in commands]


def options_of(commands, script):
    (command,) = (command for command in commands if command[0].endswith(f"/{script}"))
    return command[1:]


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
    accuracy = next(command for command in ran if command[0].endswith("accuracy.py"))
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
        name = Path(command[0]).stem
        known = {flag for option in importlib.import_module(name).main.params for flag in option.opts}
        assert {word for word in command[1:] if word.startswith("--")} <= known, name
    assert options_of(ran, "quality.py") == [
        *("--data", str(tmp_path / "a.csv"), "--ferplus", str(tmp_path / "b.csv")),
        *("--clip", str(tmp_path / "clip.mp4")),
    ]
    assert options_of(ran, "crop_margin.py") == options_of(ran, "quality.py")
    assert options_of(ran, "agreement.py") == ["--videos", str(tmp_path)]
    assert options_of(ran, "tracking.py") == [
        *("--clip", str(tmp_path / "clip.mp4")),
        *("--data", str(tmp_path / "a.csv"), "--ferplus", str(tmp_path / "b.csv")),
    ]


def test_options_have_values_that_each_benchmark_accepts(ran, tmp_path, monkeypatch):
    """Every option with its value goes through Click, which a wrong type or a missing value fails."""
    for name in ("a.csv", "b.csv", "clip.mp4", "python", "yunet.onnx"):
        (tmp_path / name).touch()
    words = ["--data", "a.csv", "--ferplus", "b.csv", "--clip", "clip.mp4", "--videos", "", "--rival-python", "python"]
    CliRunner().invoke(suite.main, [str(tmp_path / word) if "--" not in word else word for word in words])
    monkeypatch.setattr(suite, "EXPORTED", tmp_path)
    monkeypatch.setenv("FER_YUNET", str(tmp_path / "yunet.onnx"))
    for command in ran[:-1]:
        main = importlib.import_module(Path(command[0]).stem).main
        given = [str(tmp_path) if word.endswith("/exported") else word for word in command[1:]]
        if "--rival-python" in given:  # it is asked what it has
            place = given.index("--rival-python")
            del given[place : place + 2]
        main.make_context(command[0], given)


def test_labels_are_given_only_with_both_files(ran, tmp_path):
    (tmp_path / "a.csv").touch()
    CliRunner().invoke(suite.main, ["--data", str(tmp_path / "a.csv")])
    assert options_of(ran, "tracking.py") == []


def test_a_failed_export_fails_what_needs_it_and_the_others_run(ran, tmp_path, monkeypatch):
    monkeypatch.setattr(suite, "why_not_exported", lambda checkpoint, folder: "the export ended with exit code 5")
    done = CliRunner().invoke(suite.main, ["--quick"])
    assert done.exit_code == 1
    assert "latency: failed: the export ended with exit code 5" in done.output
    assert scripts_of(ran) == ["fps.py", "numbers_of_readme.py"]


def test_the_export_runs_in_quiet_and_its_failure_is_told(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(suite, "run_program", lambda words, *, quiet=False: asked.append((words, quiet)) or 5)
    (tmp_path / "a.safetensors").touch()
    reason = suite.why_not_exported(tmp_path / "a.safetensors", tmp_path / "out")
    assert reason == "the export ended with exit code 5, its error is above"
    assert asked == [
        (["-m", "fer_deploy", "export", "--checkpoint", tmp_path / "a.safetensors", "--out", tmp_path / "out"], True)
    ]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").touch()
    assert suite.why_not_exported(tmp_path / "a.safetensors", tmp_path / "out") == ""


def test_an_earlier_run_is_compared_where_it_has_the_benchmark(ran, tmp_path):
    (tmp_path / "fps.json").touch()
    CliRunner().invoke(suite.main, ["--quick", "--compare", str(tmp_path), "--publish"])
    assert options_of(ran, "fps.py")[-3:] == ["--publish", "--compare", str(tmp_path)]
    assert "--compare" not in options_of(ran, "latency.py")


def test_it_says_how_far_it_is_and_how_long_the_rest_takes(ran, monkeypatch):
    times = {"latency": 130.0, "fps": 600.0, "startup": 40.0}
    monkeypatch.setattr(suite.Step, "known_s", property(lambda step: times.get(step.name)))
    quick = CliRunner().invoke(suite.main, ["--quick"]).output.splitlines()
    assert "== 1 of 3: latency (from here to the end: about 12 min)" in quick
    assert "== 3 of 3: fps (from here to the end: about 10 min)" in quick
    assert quick[quick.index("== 3 of 3: fps (from here to the end: about 10 min)") + 1] == (
        "fps: failed: exit code 1, its error is above"
    )
    full = CliRunner().invoke(suite.main, []).output
    assert "== 1 of 21: latency (from here to the end: about 13 min and 13 whose time is not known)" in full


def test_it_goes_on_from_a_benchmark(ran):
    CliRunner().invoke(suite.main, ["--from", "shared_memory"])
    assert scripts_of(ran) == ["shared_memory.py", "rivals.py", "numbers_of_readme.py"]
    wrong = CliRunner().invoke(suite.main, ["--quick", "--from", "cameras"])
    assert wrong.exit_code == 2
    assert "no such benchmark in this form. Fix: one of latency, accuracy, fps" in wrong.output


def test_the_time_of_a_step_is_that_of_the_newest_run_with_its_options(tmp_path, monkeypatch):
    def write(folder, command, seconds, started):
        path = tmp_path / folder / "a" / "fps.json"
        path.parent.mkdir(parents=True)
        found = {"environment": {"command": command}, "run_seconds": seconds, "host": {"started": started}}
        path.write_text(json.dumps(found))

    for module in ("UNPUBLISHED", "RESULTS"):
        monkeypatch.setattr(f"harness.results.{module}", tmp_path / module.lower())
    monkeypatch.setattr(suite, "machine_name", lambda device: "here")
    step = suite.Step("fps", ("--clip", Path("/tmp/clips/a.gif"), "--rounds", 1))
    assert step.known_s is None
    write("results/other", "python benchmarks/fps.py --clip a.gif --rounds 1", 9, "2026-12-01")
    assert step.known_s == 9
    write("results/here", "python benchmarks/fps.py --clip a.gif --rounds 1 --publish", 7, "2026-11-01")
    write(
        "unpublished/here", "python benchmarks/fps.py --clip a.gif --rounds 1 --compare 'an old run'", 8, "2026-11-02"
    )
    assert step.known_s == 8
    (tmp_path / "results" / "here" / "b").mkdir()
    (tmp_path / "results" / "here" / "b" / "fps.json").write_text("[]")
    assert step.known_s == 8
    assert suite.Step("fps", ("--rounds", 3)).known_s is None


STOPPED_SUITE = """
import sys
import suite
programs = {programs!r}
suite.steps = lambda given, quick: [suite.Step(name, ()) for name in programs]
suite.background_work = tuple
suite.CHECKPOINT = suite.ROOT / "absent"
suite.UNPUBLISHED = suite.ROOT / "absent"
real = suite.run_program
suite.run_program = lambda words, quiet=False: real(["-c", programs.get(getattr(words[0], "stem", ""), "pass")])
suite.main(sys.argv[1:])
"""
BUSY = """
import subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; print('inner runs', flush=True); time.sleep(600)"])
try:
    inner.wait()
finally:
    print("cleaned up", flush=True)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_measured_and_ends_the_benchmark_with_its_workers(number, code):
    programs = {"latency": "print('measured')", "cameras": BUSY, "soak": "print('never')"}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED_SUITE.format(programs=programs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as running:
        said = ""
        while "inner runs" not in said:
            said += running.stdout.readline()
        os.kill(running.pid, number)
        started = time.monotonic()
        said += running.stdout.read()  # its end: nothing that it started still has the pipe
        assert running.wait() == code
    assert time.monotonic() - started < 500
    lines = said.splitlines()
    assert "cleaned up" in lines
    assert "never" not in lines
    ends = [line for line in lines if line.partition(":")[0] in programs][-3:]
    assert ends[0].startswith("latency: ")
    assert ends[1:] == ["cameras: stopped, no result", "soak: not run"]
    assert "stopped; to go on, give the same command with --from cameras, or make with FROM=cameras" in lines
