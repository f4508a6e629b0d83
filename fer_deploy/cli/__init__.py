"""fer-deploy: one module a command, each imported only when its command is called."""

import sys
from importlib import import_module
from typing import Any

import click

from fer_deploy import __version__, signals
from fer_deploy.cli.terminal.standard_output import failures_as_sink_errors
from fer_deploy.errors import FerDeployError, MissingDependencyError, SinkError
from fer_deploy.privacy.redaction import without_passwords

REGULAR_END = "live"
"""The command that a signal ends as it should: exit code 0."""
COMMANDS = {
    "export": "checkpoint -> verified ONNX of every precision, and plans",
    "quantize": "FP32 ONNX -> FP16 or INT8, within a budget of accuracy",
    "verify": "any artifact against the checkpoint that it came from",
    "build": "ONNX -> TensorRT plan with its manifest",
    "triton": "ONNX and plans -> model repository for Triton Inference Server",
    "inspect": "everything about a checkpoint, ONNX or plan, without running it",
    "doctor": "what is on this machine, and which engines run",
    "live": "camera, stream, file or folder -> emotions",
    "image": "pictures -> faces with their emotions, as text, JSON, CSV or annotated pictures",
    "analyze": "recorded videos -> tables, annotated videos, timelines and reports",
}


class _LazyGroup(click.Group):
    """Imports a command's module when it is called, and turns errors into one message and their exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = import_module(f"fer_deploy.cli.{cmd_name}").command
        except ImportError as err:
            raise MissingDependencyError(
                f"cannot load the command {cmd_name}: {err}. Fix: pip install 'fer-toolchain[cpu]'; where a .so is "
                "missing: apt-get install libgl1 libglib2.0-0 libxcb1"
            ) from err
        signals.working(is_regular=cmd_name == REGULAR_END)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line; help and version, too, may not reach standard output."""
        try:
            with signals.governed(), failures_as_sink_errors():
                return super().main(*args, **extra)
        except SinkError as err:
            click.echo(f"error: {err}", err=True)
            sys.exit(err.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FerDeployError as err:
            signals.check()
            stage = f" [{err.stage}]" if err.stage else ""
            click.echo(f"error{stage}: {without_passwords(str(err))}", err=True)
            sys.exit(err.exit_code)
        except click.UsageError as err:  # it quotes what it does not know
            message = err.format_message()
            if (shown := without_passwords(message)) == message:
                raise
            raise click.UsageError(shown, err.ctx) from None


@click.group(cls=_LazyGroup)
@click.version_option(__version__)
def main() -> None:
    """Export face-emotion models and run them on cameras and archives."""
