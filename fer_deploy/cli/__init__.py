"""fer-deploy: `flags` has each command's options; its work is imported when it runs."""

import errno
import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from fer_deploy import __version__, signals
from fer_deploy.cli.interface import Group, logs
from fer_deploy.cli.interface.variables import with_variables
from fer_deploy.cli.terminal.redacted_text import text_handler
from fer_deploy.cli.terminal.standard_output import failures_as_sink_errors
from fer_deploy.errors import FerDeployError, ReaderEndedError, SinkError, with_flags_alone
from fer_deploy.privacy.redaction import without_passwords

COMMANDS: Final = {
    "demo": "a first result: a clip with people, or drawn faces",
    "live": "camera, stream, file or folder -> emotions, as they happen",
    "image": "pictures -> faces with their emotions",
    "analyze": "recorded videos -> reports, tables and annotated videos",
    "agree": "results and human codes -> how well they agree",
    "archive": "thousands of videos on many machines -> tables",
    "export": "checkpoint -> verified ONNX of every precision, and plans",
    "quantize": "FP32 ONNX -> FP16 or INT8, within a budget of accuracy",
    "verify": "exported model against the checkpoint that it came from",
    "build": "ONNX -> TensorRT plan with its manifest",
    "bench": "every artifact in a folder -> which is the best on this machine",
    "pack": "an export -> one file that another machine can rebuild",
    "rebuild": "such a file -> models and plans, verified and measured here",
    "triton": "ONNX and plans -> model repository for Triton Inference Server",
    "inspect": "everything about a checkpoint, ONNX or plan, without running it",
    "doctor": "what is on this machine, and which engines run",
}
_HEADINGS: Final = {
    "Recognize emotions": ("demo", "live", "image", "analyze", "agree", "archive"),
    "Export a model": ("export", "quantize", "verify", "build", "bench", "pack", "rebuild", "triton"),
    "Look at files and at this machine": ("inspect", "doctor"),
}
_EXAMPLES: Final = (
    ("a first result, without a camera", "fer-deploy demo"),
    ("the first camera, in a window", "fer-deploy live"),
    ("a picture", "fer-deploy image photo.jpg"),
    ("a recording: report, tables and annotated video", "fer-deploy analyze interview.mp4 --out results"),
    ("what works on this machine", "fer-deploy doctor"),
)


class _Program(Group):
    """Turns errors into one message and their exit code."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **extra: Any) -> Any:
        """Run the command line; help and version, too, may not reach standard output."""
        words = sys.argv[1:] if args is None else args
        with logs.governed(
            "fer_deploy", words, redact=without_passwords, level=logging.WARNING, text_handler=text_handler
        ) as line:
            try:
                with signals.governed(), failures_as_sink_errors():
                    signals.lines_by(line)
                    return super().main(args, *more, **extra)
            except SinkError as err:
                click.echo(f"error: {err}", err=True)
                sys.exit(err.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ReaderEndedError as err:
            signals.check()
            raise BrokenPipeError(errno.EPIPE, str(err)) from err  # click ends with 1, as for every closed pipe
        except FerDeployError as err:
            signals.check()
            stage = f" [{err.stage}]" if err.stage else ""
            message = with_variables(without_passwords(with_flags_alone(str(err))), ctx)
            click.echo(f"error{stage}: {message}", err=True)
            sys.exit(err.exit_code)
        except click.UsageError as err:  # it quotes what it does not know
            message = err.format_message()
            if (shown := without_passwords(message)) == message:
                raise
            raise click.UsageError(shown, err.ctx) from None


@click.group(cls=_Program, package="fer_deploy.cli.flags", headings=_HEADINGS, short_helps=COMMANDS, examples=_EXAMPLES)
@click.version_option(__version__)
def main() -> None:
    """Recognize emotions in faces: on cameras, in pictures and in recordings. Export the models that do it."""
