"""Both programs, their commands and options, for tests of the help and of the completion."""

from pathlib import Path

import click
from click.testing import CliRunner

from fer_deploy.cli import COMMANDS as DEPLOY_COMMANDS
from fer_deploy.cli import main as deploy
from fer_train.cli import COMMANDS as TRAIN_COMMANDS
from fer_train.cli import main as train

REPO = Path(__file__).parents[2]
PROGRAMS = {"fer-deploy": ("fer_deploy", deploy, DEPLOY_COMMANDS), "fer-train": ("fer_train", train, TRAIN_COMMANDS)}
ALL = [(program, name) for program, (_, _, commands) in PROGRAMS.items() for name in commands]


def command_of(program: str, name: str) -> click.Command:
    group = PROGRAMS[program][1]
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def commands_in(command: click.Command) -> dict[str, click.Command]:
    """Return the commands of a group, by their names; none for a command."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    inner = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: one for name, one in inner.items() if one is not None}


def options_of(program: str, name: str) -> dict[str, click.Option]:
    params = command_of(program, name).params
    return {one.opts[0]: one for one in params if isinstance(one, click.Option)}


def run(program: str, *args: str):
    """Run a program in this process; an error that it does not turn into a message is raised here."""
    return CliRunner().invoke(PROGRAMS[program][1], args, prog_name=program, catch_exceptions=False)
