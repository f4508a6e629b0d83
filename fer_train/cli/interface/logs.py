"""Messages to standard error, as text or as one JSON object a line.

With `--log-format json` everything that a program writes there becomes objects with time, level, logger and message:
log messages, lines for people, warnings, errors, and the tracebacks of failures that no part expected. Results on
standard output are not changed. `fer_train.cli.interface.logs` and `fer_deploy.cli.interface.logs` are the same file.
"""

import json
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, TextIO

import click

from .variables import LOG_FORMAT, PREFIX

Redact = Callable[[str], str]
_OPTION: Final = "--log-format"
_LEVELS: Final = (
    (re.compile(r"error(?: \[(?P<stage>[\w-]+)\])?: ", re.IGNORECASE), logging.ERROR),
    (re.compile(r"warning: ", re.IGNORECASE), logging.WARNING),
)
"""How a line for people begins, and its level."""
_BAR: Final = re.compile(r"\s*[━╸╺]+\s*")
"""The drawn part of a progress bar."""


def log_format(args: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the log format of a command line: the option, the command's variable, the variable of all, else text.

    It is read before the options are parsed, since their errors are messages, too.
    """
    words = list(args[: args.index("--")] if "--" in args else args)
    chosen = [word.partition("=")[2] for word in words if word.startswith(f"{_OPTION}=")]
    chosen += [value for word, value in pairwise(words) if word == _OPTION]
    names = [word.replace("-", "_").upper() for word in words if not word.startswith("-")]
    of_commands = [environ.get("_".join([PREFIX, *names[:num], "LOG_FORMAT"])) for num in (2, 1)]  # archive run
    return next(filter(None, [*chosen[-1:], *of_commands, environ.get(LOG_FORMAT)]), "text")


@contextmanager
def governed(
    program: str, args: Sequence[str], *, redact: Redact, level: int, text_handler: Callable[[], logging.Handler]
) -> Iterator[Callable[[str], str]]:
    """Run a program whose messages have the format that its command line names.

    Yields the function that turns a message into a line, for what cannot be written to `sys.stderr`.

    Args:
        program: logger of the messages for people.
        args: the command line, without the program's name.
        redact: removes credentials from a message.
        level: of log messages.
        text_handler: creates the handler of log messages as text; not used if logging is configured.
    """
    if log_format(args, os.environ) == "json":
        with _as_json(program, redact, level):
            yield lambda message: f"{JsonFormatter(redact).format(_record(program, logging.INFO, message))}\n"
        return
    if not logging.getLogger().handlers:
        logging.basicConfig(handlers=[text_handler()], level=level)
    yield "{}\n".format


class JsonFormatter(logging.Formatter):
    """Formats a log record as one line of JSON; `exception` has the traceback, `stage` the thread that failed."""

    def __init__(self, redact: Redact) -> None:
        """Remove credentials with `redact`."""
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, in ASCII."""
        content = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
        }
        if stage := getattr(record, "stage", None):
            content["stage"] = stage
        if record.exc_info:
            content["exception"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(content)


class MessageStream:
    """A text stream in place of standard error: what is written up to the end of a line becomes a log record.

    Several lines that are written at once, such as a table, are one record. Each thread has its own unfinished line.
    """

    encoding = "utf-8"

    def __init__(self, stream: TextIO, handler: logging.Handler, program: str) -> None:
        """Write to `stream` through `handler`; `program` is the logger."""
        self._stream, self._handler, self._program = stream, handler, program
        self._unfinished = threading.local()

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes would pass by
            raise AttributeError(name)
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Return False: no colors, and no progress that overwrites itself."""
        return False

    def write(self, text: str) -> int:
        """Add text, and log it when its line is whole."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        whole = getattr(self._unfinished, "text", "") + text
        self._unfinished.text = "" if whole.endswith("\n") else whole
        if whole.endswith("\n"):
            self._log(whole)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write several texts."""
        self.write("".join(lines))

    def finish(self) -> None:
        """Log this thread's unfinished line."""
        self._log(getattr(self._unfinished, "text", ""))
        self._unfinished.text = ""

    def _log(self, text: str) -> None:
        message = click.unstyle(text).strip()
        if "\n" not in message:
            message = _BAR.sub(" ", message)
        level, extra = logging.INFO, {}
        for start, its_level in _LEVELS:
            if found := start.match(message):
                message, level, extra = message[found.end() :], its_level, found.groupdict()
        if message:
            record = _record(self._program, level, message)
            record.stage = extra.get("stage")
            self._handler.handle(record)


def _record(program: str, level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord(program, level, "", 0, message, (), None)


@contextmanager
def _as_json(program: str, redact: Redact, level: int) -> Iterator[None]:
    """Replace standard error, the log handlers and the hooks for unexpected failures; restore them at the end.

    Programs that are started meanwhile do the same, by the variable.
    """
    before = sys.stderr
    handler = logging.StreamHandler(before)
    handler.setFormatter(JsonFormatter(redact))
    stream = MessageStream(before, handler, program)
    root, log = logging.getLogger(), logging.getLogger(program)
    kept = root.handlers[:], root.level, threading.excepthook, sys.unraisablehook, os.environ.get(LOG_FORMAT)
    root.handlers[:], sys.stderr = [handler], stream
    root.setLevel(level)
    threading.excepthook, sys.unraisablehook = _thread_hook(log), _unraisable_hook(log)
    os.environ[LOG_FORMAT] = "json"
    try:
        with warnings.catch_warnings():  # captureWarnings replaces the function that shows them
            logging.captureWarnings(True)
            try:
                yield
            finally:
                logging.captureWarnings(False)
    except Exception as err:  # the program ends here, as with Python's own traceback
        log.critical("%s: %s", type(err).__name__, err, exc_info=err)
        raise SystemExit(1) from None
    finally:
        stream.finish()
        with suppress(OSError, ValueError):
            before.flush()
        root.handlers[:], sys.stderr = kept[0], before
        root.setLevel(kept[1])
        threading.excepthook, sys.unraisablehook = kept[2], kept[3]
        os.environ.pop(LOG_FORMAT)
        if kept[4] is not None:
            os.environ[LOG_FORMAT] = kept[4]


def _thread_hook(log: logging.Logger) -> Callable[[threading.ExceptHookArgs], None]:
    def report(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "unknown"
            log.critical("thread %s: %s", name, args.exc_value, exc_info=args.exc_value)

    return report


def _unraisable_hook(log: logging.Logger) -> "Callable[[sys.UnraisableHookArgs], None]":
    def report(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            log.error("%s: %s", args.err_msg or "an exception was ignored", args.exc_value, exc_info=args.exc_value)

    return report
