"""One way out for all signals, whatever the command is doing."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from fer_deploy import signals
from fer_deploy.cli import doctor, main
from fer_deploy.errors import EngineError

ENDS = [
    (signal.SIGINT, 130, "stopped"),
    (signal.SIGTERM, 143, "stopped by SIGTERM"),
    (signal.SIGHUP, 129, "stopped by SIGHUP"),
]


def send(number):
    os.kill(os.getpid(), number)


def run(monkeypatch, work):
    """Call a command that does this."""
    monkeypatch.setattr(doctor, "survey", work)
    return CliRunner().invoke(main, ["doctor"])


@pytest.fixture(autouse=True)
def _handlers_are_left_as_they_were():
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    yield
    assert [signal.getsignal(number) for number in signals.NUMBERS] == before


@pytest.mark.parametrize(("number", "code", "words"), ENDS)
class TestWorking:
    def test_what_is_open_is_closed(self, monkeypatch, number, code, words):
        closed = []

        def work():
            try:
                send(number)
                pytest.fail("it went on")
            finally:
                closed.append(True)

        result = run(monkeypatch, work)
        assert (result.exit_code, result.stderr, closed) == (code, f"{words}\n", [True])

    def test_a_second_one_does_not_disturb_the_closing(self, monkeypatch, number, code, words):
        closed = []

        def work():
            try:
                send(number)
            finally:
                send(signal.SIGINT)
                closed.append(True)

        result = run(monkeypatch, work)
        assert (result.exit_code, result.stderr, closed) == (code, f"{words}\n", [True])

    @pytest.mark.parametrize("error", [ImportError("initialization failed"), EngineError("cannot load the model")])
    def test_a_library_that_makes_another_error_of_it(self, monkeypatch, number, code, words, error):
        def work():
            try:
                send(number)
            except BaseException as err:
                raise error from err

        result = run(monkeypatch, work)
        assert (result.exit_code, result.stderr) == (code, f"{words}\n")


def test_an_error_stays_an_error(monkeypatch):
    def work():
        raise EngineError("cannot load the model")

    result = run(monkeypatch, work)
    assert (result.exit_code, result.stderr) == (7, "error: cannot load the model\n")


@pytest.mark.parametrize("before", [False, True])
def test_held_signals_are_told_and_raise_nothing(monkeypatch, before):
    told = []

    def work():
        with signals.held():
            if before:
                send(signal.SIGTERM)
            signals.on_stop(lambda: told.append(signals.came()))
            send(signal.SIGINT)
        raise EngineError("the loop failed")

    result = run(monkeypatch, work)
    came = (signal.SIGTERM, signal.SIGINT) if before else (signal.SIGINT,)
    assert told == [came[: n + 1] for n in range(len(came))]
    assert (result.exit_code, result.stderr) == (7, "error: the loop failed\n")


def test_one_that_nobody_could_catch_is_not_printed(monkeypatch, capfd):
    class Loud:
        def __del__(self):
            send(signal.SIGTERM)

    def work():
        loud = Loud()
        del loud
        signals.check()

    assert run(monkeypatch, work).exit_code == 143
    assert "ignored" not in capfd.readouterr().err


def test_beside_the_main_thread_nothing_is_handled():
    results = []
    thread = threading.Thread(target=lambda: results.append(CliRunner().invoke(main, ["--version"])))
    thread.start()
    thread.join()
    assert results[0].exit_code == 0


def test_a_forked_child_dies_of_its_signal():
    code = (
        "import os, signal\nfrom fer_deploy import signals\nsignals.install()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    os.kill(os.getpid(), signal.SIGTERM)\n    os._exit(0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{-signal.SIGTERM}\n"


@pytest.mark.parametrize("package", ["fer_deploy", "fer_train"])
def test_the_first_import_of_the_program_is_that_of_its_handlers(package):
    """What is imported before them could be interrupted with a traceback; telemetry is off before all else."""
    code = f"import json, sys\nimport {package}.__main__\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in json.loads(done.stdout) if name.startswith(package)}
    modules = ("privacy", "privacy.telemetry", "signals", "__main__")
    assert loaded == {package, *(f"{package}.{name}" for name in modules)}
    assert "click" not in json.loads(done.stdout)


@pytest.mark.parametrize("package", ["fer_deploy", "fer_train"])
def test_the_last_line_has_the_form_of_the_log(package):
    program = (
        f"import os, signal\nfrom {package} import signals\nsignals.install()\n"
        "signals.lines_by(lambda text: '[' + text + ']\\n')\nos.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "[stopped by SIGTERM]\n")
