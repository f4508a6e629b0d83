"""With --log-format json, or its variables, each command of both programs fails with JSON lines that have a time."""

import json
import re
import shlex

import click
import pytest
from click.testing import CliRunner
from unit.programs import ALL, PROGRAMS, command_of, commands_in

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ABSENT = "absent/file"
CHEAP = {
    "fer-deploy demo": "--out /dev/null/demo",
    "fer-deploy live": f"--source {ABSENT}.mp4 --no-display",
    "fer-deploy doctor": "--no-such-option",
    "fer-deploy analyze": f"{ABSENT}.mp4 --out results",
    "fer-deploy bench": ABSENT,
    "fer-train sweep": f"--plan {ABSENT}.yaml --data {ABSENT}.csv",
}
"""A cheap way to fail, of commands that would find something to do, or that need more than what is required."""


def leaves() -> dict[str, click.Command]:
    """Return all commands by their words."""
    found = {}
    for program, name in ALL:
        command = command_of(program, name)
        if not isinstance(command, click.Group):
            found[f"{program} {name}"] = command
        found |= {f"{program} {name} {inner}": one for inner, one in commands_in(command).items()}
    return found


COMMANDS = leaves()


def failing(called: str) -> list[str]:
    """Return the words of a command line that fails at once: each file that it needs is missing."""
    if called in CHEAP:
        return shlex.split(CHEAP[called])
    words = []
    for param in COMMANDS[called].params:
        if param.required:
            value = str(param.type.choices[0]) if isinstance(param.type, click.Choice) else ABSENT
            flag = [] if isinstance(param, click.Argument) else [param.opts[0]]
            words += [*flag, *[value] * max(1, param.nargs)]
    return words


def run(called: str, words: list[str], monkeypatch, tmp_path, **env: str):
    program, *names = called.split()
    monkeypatch.chdir(tmp_path)
    return CliRunner().invoke(PROGRAMS[program][1], [*names, *words], env=env, prog_name=program)


def messages_of(done) -> list[dict[str, str]]:
    """Return the lines of standard error as objects."""
    found = [json.loads(line) for line in done.stderr.splitlines()]
    for one in found:
        assert TIME.fullmatch(one["time"])
        assert {"level", "logger", "message"} <= one.keys()
    return found


@pytest.mark.parametrize("called", list(COMMANDS))
def test_a_failure_of_each_command_is_json(called, monkeypatch, tmp_path):
    done = run(called, [*failing(called), "--log-format", "json"], monkeypatch, tmp_path)
    assert done.exit_code not in (0, 1), done.output
    assert [one["level"] for one in messages_of(done)].count("error") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("called", list(COMMANDS))
def test_the_variables_do_the_same(called, monkeypatch, tmp_path):
    own = "_".join(["FER", *called.split()[1:], "LOG_FORMAT"]).upper().replace("-", "_")
    for name in ("FER_LOG_FORMAT", own):
        done = run(called, ["--no-such-option"], monkeypatch, tmp_path, **{name: "json"})
        assert done.exit_code == 2
        assert messages_of(done)[-1]["level"] == "error"
