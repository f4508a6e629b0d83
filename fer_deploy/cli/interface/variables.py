"""Environment variables of the options: FER_, the command and the option, as in FER_LIVE_DETECT_EVERY.

A flag wins over its variable, and the variable over the config file. An empty variable counts as absent. Several values
are separated by spaces and quoted as in a shell. `fer_train.cli.interface.variables` and
`fer_deploy.cli.interface.variables` are the same file.
"""

import difflib
import logging
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import click
from click.core import ParameterSource

PREFIX: Final = "FER"
LOG_FORMAT: Final = "FER_LOG_FORMAT"
"""The log format of every command; a command's own variable wins."""
_KEY: Final = "fer.variables"
_OF_KUBERNETES: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)$")
"""Variables that Kubernetes sets in every container for a service such as `fer-live`."""
_log = logging.getLogger(__name__)


def name_variables(command: str, params: Iterable[click.Parameter]) -> None:
    """Give every option its variable. One that it had before keeps working, and is read second."""
    for param in params:
        if isinstance(param, click.Option):
            before = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
            param.envvar = [variable_of(command, param), *before]


def variable_of(command: str, param: click.Option) -> str:
    """Return an option's variable: FER_LIVE_DISPLAY for --display/--no-display of live."""
    flag = next((name for name in param.opts if name.startswith("--")), param.opts[0])
    return f"{PREFIX}_{command}_{flag.lstrip('-')}".replace("-", "_").upper()


def variable_given(param: click.Parameter, ctx: click.Context) -> str:
    """Return the variable that an option's value came from; empty if it came from elsewhere."""
    if ctx.get_parameter_source(str(param.name)) is not ParameterSource.ENVIRONMENT:
        return ""
    names = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
    return next((name for name in names if os.environ.get(name)), "")


def words_of(param: click.Option, text: str, ctx: click.Context) -> list[Any]:
    """Return the values in a variable of an option that takes several.

    Raises:
        click.BadParameter: a quotation mark is not closed, or the number of values does not fit.
    """
    ctx.set_parameter_source(str(param.name), ParameterSource.ENVIRONMENT)
    try:
        words = shlex.split(text)
    except ValueError as err:
        raise click.BadParameter(
            f"{str(err).lower()}; values are separated by spaces and quoted as in a shell", ctx, param
        ) from None
    if not param.multiple or param.nargs == 1:
        return words
    return [tuple(words[start : start + param.nargs]) for start in range(0, len(words), param.nargs)]


def as_variable(err: click.BadParameter, param: click.Parameter, ctx: click.Context) -> click.BadParameter:
    """Return the error with the variable in place of the flag, if the value came from a variable."""
    variable = variable_given(param, ctx)
    if not variable:
        return err
    said = err.message if err.message.endswith("?") else f"{err.message.rstrip('.')}."
    return click.BadParameter(f"{said} Fix: another value for {variable}, or unset it", ctx, param, f"{variable}")


def warn_of_unknown(command: click.Command, environ: Mapping[str, str] = os.environ) -> None:
    """Log a warning for each variable that begins as this command's do and belongs to no option of it."""
    for text in unknown_variables(command, environ):
        _log.warning("%s", text)


def unknown_variables(command: click.Command, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each such variable, with the nearest known name. Values are not shown."""
    known = {name for param in command.params for name in (param.envvar or ()) if isinstance(param, click.Option)}
    start, shown = f"{PREFIX}_{command.name}_".replace("-", "_").upper(), str(command.name).replace("-", " ")
    for name in sorted(environ):
        if not name.startswith(start) or name in known or _OF_KUBERNETES.search(name):
            continue
        ends = [one.removeprefix(start) for one in sorted(known)]
        near = difflib.get_close_matches(name.removeprefix(start), ends, n=1)
        hint = f"did you mean {start}{near[0]}?" if near else f"the options are in {shown} --help"
        yield f"the environment variable {name} is not used: {shown} has no such option; {hint}"


def remember(ctx: click.Context) -> None:
    """Store which options of a command that is about to run came from the environment, for `with_variables`."""
    given = [(param, variable_given(param, ctx)) for param in ctx.command.params]
    ctx.meta[_KEY] = [(param, variable) for param, variable in given if variable]


def with_variables(message: str, ctx: click.Context) -> str:
    """Return a command's error with variables in place of the flags whose values came from the environment.

    `command line: --detect-every: ... Fix: --detect-every 3` becomes
    `environment: FER_LIVE_DETECT_EVERY: ... Fix: FER_LIVE_DETECT_EVERY=3`.
    """
    for param, variable in ctx.meta.get(_KEY, ()):
        message = _with_variable(message, param, variable)
    return message


def _with_variable(message: str, param: click.Option, variable: str) -> str:
    choices = [re.escape(str(one)) for one in getattr(param.type, "choices", ())]
    value = "|".join([r"[\dA-Z./]", r"\w+://", r"\w+[:,]\w", *(rf"{choice}\b" for choice in choices)])
    for flag in map(re.escape, param.opts):
        message = re.sub(rf"(?<![\w-]){flag} (?={value})", f"{variable}=", message)
        message = re.sub(rf"(?<![\w-]){flag}(?![\w-])", variable, message)
    for flag in map(re.escape, param.secondary_opts):
        message = re.sub(rf"(?<![\w-]){flag}(?![\w-])", f"{variable}=0", message)
    return re.sub(rf"(?m)^command line: (?=.*\b{variable}\b)", "environment: ", message)
