"""fer-deploy archive run --ray local: nothing leaves the machine, nothing is left on it, and a signal ends it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from integration.analyze_videos import write_squares

from fer_deploy.cli import main

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
_ADDRESS = re.compile(r'(?:sin_addr=inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')


@pytest.fixture
def out(tmp_path):
    film = write_squares(tmp_path / "film.mp4", 240)
    words = ["plan", film, "--out", tmp_path / "out", "--pilot", 0, "--detector", "haar", "--segment-frames", 60]
    done = CliRunner().invoke(main, ["archive", *map(str, words)])
    assert done.exit_code == 0, done.output
    return tmp_path / "out"


@pytest.fixture
def command(out):
    return [sys.executable, "-m", "fer_deploy", "archive", "run", str(out), "--ray", "local", "--jobs", "1"]


@pytest.fixture
def places(tmp_path) -> dict[str, str]:
    """The environment, with an empty home and a short folder for temporary files: Ray's sockets stand there."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "XDG_", "FER_"))}
    return kept | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
def files():
    """A folder for temporary files of one test, with a short name: Ray's sockets are there."""
    with tempfile.TemporaryDirectory(prefix="f-") as folder:
        yield Path(folder)


def of_ray() -> list[str]:
    """Return the commands of Ray's processes in folders of this program."""
    found = []
    for one in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(one.info["cmdline"] or [])
        if one.info["status"] != psutil.STATUS_ZOMBIE and "/fer-ray-" in words:
            found.append(words)
    return found


def wait_for(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
def test_nothing_leaves_the_machine(command, places, tmp_path):
    trace = tmp_path / "trace"
    traced = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto", "-o", str(trace), *command]
    done = subprocess.run(traced, env=places, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    if not trace.exists() or "PTRACE" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    assert "all segments are done" in done.stdout
    called = {address.removeprefix("::ffff:") for address in _ADDRESS.findall(trace.read_text())}
    assert "127.0.0.1" in called  # Ray's own processes
    assert {address for address in called if not address.startswith("127.") and address not in ("::1", "::")} == set()
    assert [path for path in Path(places["HOME"]).rglob("*") if path.is_file()] == []
    wait_for(lambda: of_ray() == [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("there", ["fer-ray-*", "fer-ray-*/session_latest/sockets/raylet"])
def test_a_signal_while_ray_starts_ends_the_run_with_the_hint(command, places, tmp_path, files, number, there):
    words = {"env": places | {"TMPDIR": str(files)}, "cwd": tmp_path, "text": True}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **words)
    wait_for(lambda: list(files.glob(there)))
    running.send_signal(number)
    printed, told = running.communicate(timeout=120)
    assert running.returncode == 128 + number, told
    assert "stopped: 0 segments of this run are kept. To go on: fer-deploy archive run" in told
    assert printed == ""
    wait_for(lambda: of_ray() == [])
    assert list(files.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_its_processes(command, places, tmp_path, number):
    with (tmp_path / "err").open("w") as err:
        running = subprocess.Popen(command, env=places, cwd=tmp_path, stdout=subprocess.PIPE, stderr=err, text=True)
    wait_for(lambda: "1 worker on 1 node" in (tmp_path / "err").read_text())
    running.send_signal(number)
    printed, _ = running.communicate(timeout=60)
    told = (tmp_path / "err").read_text()
    assert running.returncode == 128 + number, told
    assert re.search(
        r"stopped: (1 segment of this run is|[02-9] segments of this run are) kept\. To go on: fer-deploy archive run",
        told,
    )
    assert printed == ""
    wait_for(lambda: of_ray() == [])
