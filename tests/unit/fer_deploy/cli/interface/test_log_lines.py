"""With --log-format json every message is one JSON object a line; results are not touched."""

import json
import logging
import re
import sys
import threading
import warnings

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from fer_deploy.cli import doctor, main
from fer_deploy.cli.interface import logs
from fer_deploy.errors import StreamError
from fer_deploy.privacy.redaction import without_passwords

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def governed(*args: str):
    return logs.governed(
        "fer_deploy", args, redact=without_passwords, level=logging.WARNING, text_handler=logging.NullHandler
    )


@pytest.fixture
def written(capsys):
    """Return what standard error got since the last call, as objects."""

    def read():
        lines = capsys.readouterr().err.splitlines()
        found = [json.loads(line) for line in lines]
        assert all(TIME.fullmatch(one.pop("time")) for one in found)
        return found

    return read


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        ("live", {}, "text"),
        ("live --log-format json", {}, "json"),
        ("live --log-format=json --log-format=text", {}, "text"),
        ("live", {"FER_LOG_FORMAT": "json"}, "json"),
        ("live", {"FER_LOG_FORMAT": "json", "FER_LIVE_LOG_FORMAT": "text"}, "text"),
        ("live --log-format text", {"FER_LOG_FORMAT": "json"}, "text"),
        ("demo", {"FER_LIVE_LOG_FORMAT": "json"}, "text"),
        ("image -- --log-format json", {}, "text"),
        ("live --log-format", {}, "text"),
        ("", {}, "text"),
    ],
)
def test_the_format_is_known_before_the_options_are_parsed(line, environ, expected):
    assert logs.log_format(line.split(), environ) == expected


def test_every_kind_of_message_is_an_object(written):
    def fail():
        raise ValueError("in a thread")

    with governed("live", "--log-format", "json"):
        click.echo("engine: model.onnx", err=True)
        click.echo(click.style("error [capture]: rtsp://bob:geheim@cam is away. Fix: look", fg="red"), err=True)
        logging.getLogger("fer_deploy.live").warning("lost %s", "rtsp://bob:geheim@cam")
        logging.getLogger("fer_deploy.live").info("below the level")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)
        thread = threading.Thread(target=fail, name="capture-0")
        thread.start()
        thread.join()
        sys.stderr.write("no line break")
    first, error, lost, warning, of_thread, last = written()
    assert first == {"level": "info", "logger": "fer_deploy", "message": "engine: model.onnx"}
    assert error == {
        "level": "error",
        "logger": "fer_deploy",
        "message": "rtsp://***@cam is away. Fix: look",
        "stage": "capture",
    }
    assert lost == {"level": "warning", "logger": "fer_deploy.live", "message": "lost rtsp://***@cam"}
    assert (warning["logger"], "DeprecationWarning: old" in warning["message"]) == ("py.warnings", True)
    assert (of_thread["level"], of_thread["message"]) == ("critical", "thread capture-0: in a thread")
    assert of_thread["exception"].endswith("ValueError: in a thread")
    assert last["message"] == "no line break"


def test_a_table_is_one_object_without_colors(written):
    table = Table("a", "b")
    table.add_row("1", "2")
    with governed("live", "--log-format=json"):
        Console(stderr=True, force_terminal=True).print(table)
    (found,) = written()
    assert len(found["message"].splitlines()) == 5
    assert "\x1b" not in found["message"]


def test_of_a_progress_bar_only_its_numbers_are_kept(written):
    with governed("live", "--log-format=json"):
        click.echo("loss 6.008 ━━━━━━╸━━━ 8/8 0:01:52", err=True)
    assert written()[0]["message"] == "loss 6.008 8/8 0:01:52"


def test_a_bug_is_an_object_with_its_traceback_and_exit_code_1(written):
    def fail():
        raise KeyError("token=geheim&x")

    with pytest.raises(SystemExit) as ended, governed("doctor", "--log-format=json"):
        fail()
    assert ended.value.code == 1
    (found,) = written()
    assert (found["level"], found["message"].startswith("KeyError: ")) == ("critical", True)
    assert found["exception"].startswith("Traceback (most recent call last):")


def test_all_is_restored(written, monkeypatch):
    monkeypatch.delenv("FER_LOG_FORMAT", raising=False)
    before = sys.stderr, logging.getLogger().handlers[:], threading.excepthook, sys.unraisablehook
    with governed("live", "--log-format=json"):
        assert logs.log_format(["live"], logs.os.environ) == "json"  # of programs that are started meanwhile
    assert (sys.stderr, logging.getLogger().handlers, threading.excepthook, sys.unraisablehook) == before
    assert "FER_LOG_FORMAT" not in logs.os.environ
    assert written() == []


def test_results_stay_as_they_are_and_errors_are_objects(monkeypatch):
    def fail():
        raise StreamError("cannot open the stream. Fix: check it")

    monkeypatch.setattr(doctor, "survey", fail)
    result = CliRunner().invoke(main, ["doctor", "--json", "--log-format", "json"])
    found = json.loads(result.stderr)
    assert (found["level"], found["message"]) == ("error", "cannot open the stream. Fix: check it")
    assert (result.exit_code, result.stdout) == (8, "")


def test_an_unknown_option_is_an_object():
    result = CliRunner().invoke(main, ["live", "--log-format", "json", "--sorce", "0"])
    usage, error = map(json.loads, result.stderr.splitlines())
    assert usage["message"].startswith("Usage: ")
    assert (result.exit_code, error["level"]) == (2, "error")
    assert error["message"].startswith("No such option '--sorce'.")


def test_bytes_are_refused_so_that_click_writes_text():
    stream = logs.MessageStream(sys.stderr, logging.NullHandler(), "x")
    assert not hasattr(stream, "buffer")
    with pytest.raises(TypeError, match="must be str, not bytes"):
        stream.write(b"")
