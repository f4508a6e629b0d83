"""Click's command, option and group, with examples, headings, former names and suggestions.

Nothing here imports a heavy package: help and shell completion answer at once. `fer_train.cli.interface` and
`fer_deploy.cli.interface` are the same file.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from . import suggestions, variables

HELP_NAMES: Final = ["-h", "--help"]
_WIDTH: Final = 100
"""Columns of the help in a terminal that has as many."""
Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class FolderType(click.Path):
    """A path whose completion offers folders. Whether it is one is checked where it is used."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        """Return the mark that makes the shell complete folders."""
        return [CompletionItem(incomplete, type="dir")]


FILE: Final = click.Path(path_type=Path)
FOLDER: Final = FolderType(path_type=Path)


class Option(click.Option):
    """An option with a heading in the help, a default in words and a former name that still works."""

    def __init__(
        self,
        *args: Any,
        section: str = "Options",
        default_text: str = "",
        required_text: str = "",
        formerly: Sequence[str] = (),
        **attributes: Any,
    ) -> None:
        """Take what `click.Option` takes.

        Args:
            args: as for `click.Option`.
            section: the heading that the help lists the option under.
            default_text: what happens without the option, where it is not the option's own default value.
            required_text: where else the value may come from, for a value that some place must give.
            formerly: names that are accepted and not shown.
            attributes: as for `click.Option`.
        """
        super().__init__(*args, **attributes)
        self.section, self.default_text, self.required_text = section, default_text, required_text
        self.formerly = list(formerly)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return the text in brackets after the help: default, range, required."""
        extra = super().get_help_extra(ctx)
        if self.default_text:
            extra["default"] = self.default_text
        if self.required_text:
            extra["required"] = self.required_text
        return extra

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Return the value in the option's variable; several values are split as a shell splits words."""
        text = self.resolve_envvar_value(ctx)
        if text is None or (self.nargs == 1 and not self.multiple):
            return super().value_from_envvar(ctx)
        return variables.words_of(self, text, ctx)

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Convert the value. Its error suggests a similar choice, and names the variable that it is from."""
        try:
            return super().handle_parse_result(ctx, opts, args)
        except click.BadParameter as err:
            if isinstance(self.type, click.Choice):
                given = opts.get(str(self.name)) or self.resolve_envvar_value(ctx)
                said = err.message + suggestions.similar_choice(str(given), self.type)
                err = click.BadParameter(said, err.ctx, err.param, err.param_hint)
            raise variables.as_variable(err, self, ctx) from None

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Register the names that are shown, and the former ones."""
        super().add_to_parser(parser, ctx)
        if not self.formerly:
            return
        shown = self.opts, self.secondary_opts
        try:
            self.opts, self.secondary_opts = self.formerly, []
            super().add_to_parser(parser, ctx)
        finally:
            self.opts, self.secondary_opts = shown


class Command(click.Command):
    """A command with headings over its options and examples at its end."""

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **attributes: Any) -> None:
        """Take what `click.Command` takes, and examples: (what it does, the command line)."""
        super().__init__(*args, **_with_help_names(attributes))
        self.examples = tuple(examples)
        self.params.append(_log_format())
        variables.name_variables(str(self.name), self.params)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a variable that belongs to no option of it is warned of."""
        variables.warn_of_unknown(self)
        variables.remember(ctx)
        return super().invoke(ctx)

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """Return -h and --help. Click asks the context, and keeps what the first one says."""
        return list(HELP_NAMES)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; the error for an unknown option suggests similar ones, but no former names, or how to name a file."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as err:
            former = {name for param in self.params for name in getattr(param, "formerly", ())}
            shown = [name for name in err.possibilities or () if name not in former]
            if not shown and (file := self._file_like(err.option_name, given)):
                fix = f"If {file} is a file, name it ./{file}, or put -- before the files."
                raise click.UsageError(f"{err.format_message()} {fix}", err.ctx) from None
            if owners := suggestions.owners_of(err.option_name, ctx):
                raise click.UsageError(f"{err.message} It is an option of {owners}.", err.ctx) from None
            raise click.NoSuchOption(err.option_name, possibilities=shown, ctx=err.ctx) from None
        except click.UsageError as err:
            takes_sources = any("--source" in param.opts for param in self.params)
            if not (takes_sources and err.message.startswith("Got unexpected extra argument (")):
                raise
            raise click.UsageError(f"{err.message}. Fix: --source in front of it", err.ctx) from None

    def _file_like(self, option_name: str, given: Sequence[str]) -> str:
        """Return the argument that was read as an unknown option and may be a file; else an empty string."""
        if not any(isinstance(param, click.Argument) for param in self.params):
            return ""
        read_as_it = (text for text in given if text.startswith(option_name))
        return next((text for text in read_as_it if Path(text).exists() or ("=" not in text and Path(text).suffix)), "")

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write nothing: `format_options` lists the arguments, too."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments and options under their headings, in the order in which each heading comes first."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_examples(self.examples, formatter)


class Group(click.Group):
    """A group whose commands are imported when they are called, listed under headings."""

    def __init__(
        self,
        *args: Any,
        package: str = "",
        headings: Mapping[str, Sequence[str]] | None = None,
        short_helps: Mapping[str, str] | None = None,
        examples: Sequence[tuple[str, str]] = (),
        **attributes: Any,
    ) -> None:
        """Take what `click.Group` takes.

        Args:
            args: as for `click.Group`.
            package: where the modules of the commands are; each has the name of its command and a `command`.
            headings: names of commands by heading.
            short_helps: one line for each command.
            examples: (what it does, the command line).
            attributes: as for `click.Group`.
        """
        super().__init__(*args, **_with_help_names(attributes))
        self._package, self._headings, self._short_helps = package, headings or {}, short_helps or {}
        self.examples = tuple(examples)

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """Return -h and --help, as of a command."""
        return list(HELP_NAMES)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the headings."""
        return [name for names in self._headings.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's flags; its work is imported when it runs."""
        if cmd_name not in self._short_helps:
            return None
        command: click.Command = import_module(f"{self._package}.{cmd_name}").command
        command.short_help = self._short_helps[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; the error for an unknown name suggests similar ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as err:
            raise click.NoSuchCommand(err.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, then the options."""
        width = max(map(len, self._short_helps), default=0)
        for heading, names in self._headings.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), self._short_helps[name]) for name in names])
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and how to get more help."""
        _write_examples(self.examples, formatter)
        formatter.write_paragraph()
        formatter.write_text(f"{ctx.command_path} COMMAND --help lists all options of a command.")


def option(*names: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """Return the decorator that adds an `Option`."""
    return click.option(*names, cls=Option, **attributes)


def options(*decorators: Callable[[Any], Any]) -> Callable[[Decorated], Decorated]:
    """Return one decorator for several options, in the order in which the help lists them."""

    def decorate(function: Decorated) -> Decorated:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _log_format() -> Option:
    """Return --log-format; `logs` reads it before anything else, so that every message obeys it."""
    return Option(
        ["--log-format"],
        type=click.Choice(["text", "json"]),
        default_text="text",
        envvar=variables.LOG_FORMAT,
        expose_value=False,
        help="Form of the messages on standard error. json: one object a line with time, level, logger and message.",
    )


def _with_help_names(attributes: dict[str, Any]) -> dict[str, Any]:
    settings = {"help_option_names": HELP_NAMES, "max_content_width": _WIDTH}
    return attributes | {"context_settings": settings | (attributes.get("context_settings") or {})}


def _write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            heading = "Arguments" if isinstance(param, click.Argument) else getattr(param, "section", "Options")
            sections.setdefault(heading, []).append(record)
    sections["Options"] = sections.pop("Options")  # --help is among them, and comes last
    for heading, records in sections.items():
        with formatter.section(heading):
            formatter.write_dl(records)


def _write_examples(examples: Sequence[tuple[str, str]], formatter: click.HelpFormatter) -> None:
    if not examples:
        return
    with formatter.section("Examples"):
        indent = " " * formatter.current_indent
        for number, (purpose, line) in enumerate(examples):
            formatter.write("\n" if number else "")
            formatter.write(f"{indent}# {purpose}\n")
            formatter.write("".join(f"{indent}{part}\n" for part in line.splitlines()))
