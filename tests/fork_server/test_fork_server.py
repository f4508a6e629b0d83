"""Programs of the fork server are like any others: how they end, signals, folder, environment, namespaces."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from fork_server import server
from fork_server.starter import ForkServer

SERVER = Path(server.__file__)
SAYS_READY = "print('ready', flush=True)\n"


@pytest.fixture(scope="module")
def light_server(tmp_path_factory):
    """A server that has imported nothing."""
    running = ForkServer(tmp_path_factory.mktemp("light"), SERVER)
    yield running
    running.end()


@pytest.fixture
def start(light_server, tmp_path):
    """Return a function that starts a Python program, after words before its command."""

    def begin(text: str, *before: str, **settings) -> subprocess.Popen:
        script = tmp_path / "script.py"
        script.write_text(text)
        words = [*before, *light_server.command("python"), str(script), "argument"]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **settings)

    return begin


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("import os, sys; print(sys.argv[1], os.environ['OF_CLIENT'], os.getcwd())", 0, "argument here /"),
        ("import sys; sys.exit(255)", 255, ""),
        ("import sys; sys.exit('why not')", 1, "why not"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import os; os.kill(os.getpid(), 11)", -signal.SIGSEGV, ""),
    ],
)
def test_a_client_ends_as_its_program_does(start, text, code, told):
    running = start(text, cwd="/", env=os.environ | {"OF_CLIENT": "here"})
    said, _ = running.communicate(timeout=60)
    assert told in said
    assert running.returncode == code, said


def test_a_signal_reaches_the_program(start):
    handles = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"
    running = start(f"{handles}{SAYS_READY}time.sleep(60)")
    assert running.stdout.readline() == "ready\n"
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 3


def test_a_program_ends_with_its_client(start):
    running = start("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    pid = int(running.stdout.readline())
    running.kill()
    running.communicate(timeout=60)
    wait_for(lambda: not psutil.pid_exists(pid))


def test_a_program_is_in_the_namespaces_of_its_client(start):
    others = ["unshare", "--net", "--uts", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*others, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no namespaces (root only)")
    asks = "import os, socket; print(socket.gethostname(), socket.if_nameindex(), os.path.exists('/proc/self'))"
    running = start(asks, *others, "sh", "-c", 'hostname elsewhere; "$@"', "sh")
    said, _ = running.communicate(timeout=60)
    assert said == "elsewhere [(1, 'lo')] True\n"


def test_the_server_and_its_programs_end_with_the_owner(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as owner:
        short_lived = ForkServer(tmp_path / "server", SERVER, owner.pid)
        script = tmp_path / "script.py"
        script.write_text(f"{SAYS_READY}import time\ntime.sleep(60)\n")
        running = subprocess.Popen([short_lived.python, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert running.stdout.readline() == b"ready\n"
        owner.kill()
    said, _ = running.communicate(timeout=60)
    assert (running.returncode, said) == (1, b"the fork server has ended\n")


def test_a_server_that_cannot_start_tells_why(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import no_such_module")
    with pytest.raises(AssertionError, match="No module named 'no_such_module'"):
        ForkServer(tmp_path / "server", script)
