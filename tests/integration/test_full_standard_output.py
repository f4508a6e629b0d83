"""Standard output leads to a full disk: every command ends with 8 and says so, in one line and without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fer_deploy.cli.terminal.standard_output import failures_as_sink_errors
from fer_deploy.errors import SinkError
from fer_train.cli.standard_output import failures_as_output_errors
from fer_train.errors import OutputError

LIVE = ("live", "--source", "synthetic", "--max-frames", "3", "--no-display", "--detector", "haar")
COMMANDS = {
    "help": ("fer_deploy", "--help"),
    "doctor": ("fer_deploy", "doctor"),
    "doctor --json": ("fer_deploy", "doctor", "--json"),
    "inspect": ("fer_deploy", "inspect", "{model}"),
    "live": ("fer_deploy", *LIVE),
    "live --json": ("fer_deploy", *LIVE, "--json"),
    "live --jsonl -": ("fer_deploy", *LIVE, "--jsonl", "-"),
    "version": ("fer_train", "--version"),
    "train --help": ("fer_train", "train", "--help"),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_commands(name, unbuffered, repo_dir):
    if unbuffered and name not in ("help", "doctor --json"):
        pytest.skip("two are enough")
    model = repo_dir / "fer_deploy/models/senet-int8-cpu.onnx"
    words = [word.format(model=model) for word in COMMANDS[name]]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 8, done.stderr
    assert "No space left on device" in done.stderr
    assert "Fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "words", [COMMANDS["doctor --json"], (*COMMANDS["live --jsonl -"], "--max-frames", "1000")], ids=["doctor", "live"]
)
def test_a_reader_that_ends_is_no_error(words):
    """As `fer-deploy live --jsonl - | head -1`."""
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        if "live" in words:
            assert running.stdout.readline().startswith('{"frame":0')
        running.stdout.close()
        said = running.stderr.read()
    assert (running.returncode, "error" in said, "Fix" in said, "Traceback" in said) == (1, False, False, False), said


@pytest.mark.parametrize(
    ("block", "error"), [(failures_as_sink_errors, SinkError), (failures_as_output_errors, OutputError)]
)
class TestTheBlock:
    def test_a_failure_of_something_else_goes_through(self, block, error):
        with pytest.raises(FileNotFoundError), block():
            open("/none/such")  # noqa: SIM115

    def test_a_write_that_fails(self, block, error, monkeypatch, tmp_path):
        with open("/dev/full", "w", buffering=1) as full:
            monkeypatch.setattr(sys, "stdout", full)
            with (
                pytest.raises(
                    error, match=r"^cannot write to standard output: No space left on device\. Fix: "
                ) as caught,
                block(),
            ):
                sys.stdout.write("line\n")
            assert sys.stdout is full, "the stream is put back"
        assert caught.value.exit_code == 8

    def test_what_was_written_is_there(self, block, error, capsys):
        with block():
            sys.stdout.write("line\n")
        assert capsys.readouterr().out == "line\n"
