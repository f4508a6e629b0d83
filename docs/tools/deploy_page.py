"""Write the tables of docs/deploy.md from the errors, the commands and the settings.

    python docs/tools/deploy_page.py            # write them
    python docs/tools/deploy_page.py --check    # exit code 1 where the page differs

A table is between `<!-- generated: NAME -->` and `<!-- /generated -->`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from fer_deploy.cli import COMMANDS as DEPLOY_COMMANDS
from fer_deploy.errors import FerDeployError
from fer_deploy.live.service.reload import RELOADABLE
from fer_train.cli import COMMANDS as TRAIN_COMMANDS
from fer_train.errors import FerTrainError

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
PROGRAMS = {"fer-deploy": ("fer_deploy", DEPLOY_COMMANDS), "fer-train": ("fer_train", TRAIN_COMMANDS)}
TRUTH_VALUES = "1 or 0"
_SLOT = re.compile(r"(<!-- generated: ([\w-]+) -->)(.*?)(<!-- /generated -->)", re.DOTALL)


def classes_of(base: type[Any]) -> Iterator[type[Any]]:
    """Yield an error class and all below it in the same module, from the top."""
    yield base
    for below in base.__subclasses__():
        if below.__module__ == base.__module__:
            yield from classes_of(below)


def codes_not_to_restart() -> list[int]:
    """Return the exit codes of fer-deploy after which a supervisor should not start it again."""
    return sorted({err.exit_code for err in classes_of(FerDeployError) if not err.restart_helps})


def exit_codes() -> str:
    """Return the table of exit codes of both programs."""
    meanings: dict[int, dict[str, list[str]]] = {}
    for program, base in (("fer-deploy", FerDeployError), ("fer-train", FerTrainError)):
        for err in classes_of(base):
            first = (err.__doc__ or "").splitlines()[0].rstrip(".")
            text = "an unexpected failure" if err is base else first[0].lower() + first[1:]
            meanings.setdefault(err.exit_code, {}).setdefault(program, []).append(text.replace("`", ""))
    no_restart = codes_not_to_restart()
    rows = [["0", "success; also the end of `live` by q, Esc or a signal", "success", "no"]]
    for code, of_program in sorted(meanings.items()):
        texts = ["; ".join(dict.fromkeys(of_program.get(program, ["–"]))) for program in PROGRAMS]
        is_of_deploy = "fer-deploy" in of_program
        rows.append([str(code), *texts, ("no" if code in no_restart else "yes") if is_of_deploy else "–"])
    signals = "stopped by SIGHUP, Ctrl-C, SIGTERM"
    rows.append(["129, 130, 143", f"{signals}, except `live`", signals, "no"])
    return table(["code", "fer-deploy", "fer-train", "restart `live`"], rows)


def commands_of(program: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the names of commands; a group is replaced by its commands."""
    for name in names:
        command = import_module(f"{PROGRAMS[program][0]}.cli.flags.{name}").command
        if isinstance(command, click.Group):
            yield from (f"{name} {inner}" for inner in command.list_commands(click.Context(command)))
        else:
            yield name


def options_of(program: str, name: str) -> list[click.Option]:
    """Return the options that have a variable, of a command, or of one in a group, such as "archive plan"."""
    command = import_module(f"{PROGRAMS[program][0]}.cli.flags.{name.replace(' ', '.')}").command
    return [param for param in command.params if isinstance(param, click.Option) and param.envvar]


def values_of(option: click.Option) -> str:
    """Return what an option's variable may hold, in few words."""
    if option.is_flag:
        return TRUTH_VALUES
    text = option.make_metavar(click.Context(click.Command("x")))
    if "|" in text:
        text = text.strip("[]").replace("|", ", ")
    return f"{text}; several with spaces between" if option.multiple else text


def live_variables() -> str:
    """Return the variables of live, one a row."""
    rows = [
        [", ".join(f"`{name}`" for name in option.envvar or ()), f"`{option.opts[-1]}`", values_of(option)]
        for option in options_of("fer-deploy", "live")
    ]
    return table(["variable", "option", "values"], rows)


def variables() -> str:
    """Return the variables of the other commands, a command a row; only the end of each name."""
    rows = []
    for program, (_, commands) in PROGRAMS.items():
        for name in commands_of(program, commands):
            if (program, name) == ("fer-deploy", "live"):
                continue
            names = [str((option.envvar or [""])[0]) for option in options_of(program, name)]
            start = f"FER_{name.replace(' ', '_').upper()}_"
            ends = " ".join(f"`{one.removeprefix(start)}`" for one in names)
            rows.append([f"`{program} {name}`", f"`{start}`", ends])
    return table(["command", "begins with", "ends with"], rows)


def reloadable() -> str:
    """Return the settings that a running loop takes over."""
    return "\n".join(["", "", *(f"- `{key}`" for key in RELOADABLE), ""])


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown, with an empty line on both sides."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join(["", "", *lines, *(f"| {' | '.join(row)} |" for row in rows), "", ""])


SLOTS: dict[str, Callable[[], str]] = {
    "exit-codes": exit_codes,
    "live-variables": live_variables,
    "variables": variables,
    "reloadable": reloadable,
}


def filled(text: str) -> str:
    """Return the page with every table.

    Raises:
        ValueError: a table has an unknown name.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] not in SLOTS:
            raise ValueError(f"unknown table {match[2]!r}; known: {', '.join(SLOTS)}. Fix: one of these")
        return f"{match[1]}{SLOTS[match[2]]()}{match[4]}"

    return _SLOT.sub(fill, text)


if __name__ == "__main__":
    old = PAGE.read_text()
    new = filled(old)
    if "--check" in sys.argv[1:]:
        sys.exit("docs/deploy.md differs from the commands and the errors. Fix: make docs" if old != new else 0)
    PAGE.write_text(new)
