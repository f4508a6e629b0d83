"""Errors that fer_deploy raises on purpose. Each class carries the exit code of the CLI.

FerDeployError                1
├── ConfigError               2   unknown, contradictory or out-of-range setting
├── MissingDependencyError    3   a package of an optional extra is not installed
├── ArtifactError             4   a model file that is missing, truncated, foreign or of another contract
├── ExportError               5   a checkpoint that cannot be turned into a valid ONNX graph
├── VerificationError         6   an artifact whose results differ from those of its reference
├── EngineError               7   a model that loads but cannot run here, or refuses its input
└── StreamError               8   a source that cannot be opened or read
    └── SinkError             8   a video, JSONL file or window that cannot be written
        └── ReaderEndedError  1   what reads standard output has ended, as `| head -1`: no message

A signal is not an error: 130 (Ctrl-C), 143 (SIGTERM), 129 (SIGHUP), and 0 for `live`; see `fer_deploy.signals`.
"""

import re
from typing import Final

_BOTH_NAMES: Final = re.compile(r'\b[a-z_]+(?:="[^"]*")? \((--[a-z][^()]*)\)')


def argument(name: str, value: str | None = None) -> str:
    """Return a setting by both of its names, for a message: `device="cpu" (--device cpu)`.

    Args:
        name: of the argument in Python and of the key in YAML; the flag has - in place of _.
        value: what to set it to; None names the setting only.
    """
    flag = f"--{name.replace('_', '-')}"
    return f"{name} ({flag})" if value is None else f'{name}="{value}" ({flag} {value})'


def with_flags_alone(message: str) -> str:
    """Return a message as the command line shows it: of the two names of `argument`, the flag."""
    return _BOTH_NAMES.sub(r"\1", message)


class FerDeployError(Exception):
    """Base of the tree. The message says what failed, what was seen and how to fix it.

    Attributes:
        exit_code: exit code of the command line for this error; each class has its own.
        stage: the thread of the live loop that raised it ("capture", "infer", "sink"), or None.
        restart_helps: whether a supervisor should run the same command again: the cause may pass without a change by a
            person, as when a camera is away.
    """

    exit_code = 1
    restart_helps = True
    stage: str | None = None


class ConfigError(FerDeployError):
    """A setting is unknown, contradictory or out of range."""

    exit_code = 2
    restart_helps = False


class MissingDependencyError(FerDeployError):
    """A package of an optional extra is not installed."""

    exit_code = 3
    restart_helps = False


class ArtifactError(FerDeployError):
    """A model file is missing, truncated, foreign, or breaks the contract of `spec`."""

    exit_code = 4
    restart_helps = False


class ExportError(FerDeployError):
    """A checkpoint cannot be turned into a valid ONNX graph."""

    exit_code = 5
    restart_helps = False


class VerificationError(FerDeployError):
    """The results of an artifact differ from those of its reference."""

    exit_code = 6
    restart_helps = False


class EngineError(FerDeployError):
    """An engine cannot run here, failed while running, or was given invalid input."""

    exit_code = 7


class StreamError(FerDeployError):
    """A source cannot be opened or read."""

    exit_code = 8


class SinkError(StreamError):
    """An output of the live loop cannot be written."""


class ReaderEndedError(SinkError):
    """The program that reads standard output has ended. The command ends without a message, as after any such write."""

    exit_code = 1
