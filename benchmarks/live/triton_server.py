"""A real tritonserver, out of the wheel nvidia-pytriton, which is installed into a folder of its own.

That wheel has no backend for ONNX Runtime, so `onnxruntime_backend` takes its place. The tests start this server, too.
"""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from harness.clips import UNPUBLISHED

from fer_deploy.engines.cpu_flags import adds_exactly
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository

WHEEL = "nvidia-pytriton==0.7.0"
PACKAGES = (WHEEL, "numpy==1.26.4")
START_LIMIT_S = 60


def install_server(folder: Path) -> str:
    """Install the server and its backends into a folder; return why it cannot run here, or nothing."""
    stub = f"pytriton/tritonserver/python_backend_stubs/{sys.version_info[0]}.{sys.version_info[1]}"
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder / "wheel", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return f"pip cannot install {WHEEL}: {done.stderr.strip().splitlines()[-1]}"
    if not (folder / "wheel" / stub).is_dir():
        return f"{WHEEL} has no backend for Python {sys.version_info[0]}.{sys.version_info[1]}"
    backends = folder / "backends"
    shutil.copytree(folder / "wheel/pytriton/tritonserver/backends", backends)
    shutil.copytree(folder / "wheel" / stub, backends / "python", dirs_exist_ok=True)
    (backends / "onnxruntime").mkdir()
    shutil.copy(Path(__file__).with_name("onnxruntime_backend.py"), backends / "onnxruntime" / "model.py")
    linked = subprocess.run(
        ["ldd", backends / "python" / "triton_python_backend_stub"], capture_output=True, text=True, check=False
    )
    missing = [line.split()[0] for line in linked.stdout.splitlines() if "libpython" in line and "not found" in line]
    return f"this machine has no {missing[0]}" if missing else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TritonServer:
    """A server of a repository; a context manager. Its ports stay the same over restarts."""

    def __init__(self, installed: Path, repository: Path, log: Path) -> None:
        """Name its files; `start` starts it.

        Args:
            installed: folder of `install_server`.
            repository: of models, from `fer-deploy triton`.
            log: file that it appends to.
        """
        self._installed, self._repository, self._log = installed, repository, log
        self.http, self.grpc, self.metrics = _free_port(), _free_port(), _free_port()
        self.batches = log.with_suffix(".batches")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "TritonServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def address(self, model: str) -> str:
        """Return the address of a model, as `--engine` takes it."""
        return f"triton://127.0.0.1:{self.grpc}/{model}"

    def start(self, *, wait: bool = True) -> None:
        """Start it; `wait` until its models are loaded.

        Raises:
            click.ClickException: it ended, or its models are not loaded within a minute; the message ends with its log.
        """
        folder = self._installed
        packages = os.pathsep.join([str(folder / "wheel"), sysconfig.get_paths()["purelib"]])
        environment = {
            **os.environ,
            "FER_TEST_PACKAGES": packages,
            "FER_TEST_BATCHES": str(self.batches),
            "FER_TEST_EXACT_SUMS": str(int(not adds_exactly())),
            "LD_LIBRARY_PATH": str(folder / "wheel" / "nvidia_pytriton.libs"),
            # Its backends take the packages of the first Python that PATH names, and a virtual environment has NumPy 2.
            "PATH": f"{sys.base_prefix}/bin{os.pathsep}{os.defpath}",
        }
        environment.pop("PYTHONPATH", None)
        ports = ("--http-port", self.http, "--grpc-port", self.grpc, "--metrics-port", self.metrics)
        command = [
            folder / "wheel/pytriton/tritonserver/bin/tritonserver",
            "--model-repository",
            self._repository,
            "--backend-directory",
            folder / "backends",
            "--exit-timeout-secs",
            "2",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*map(str, command), *map(str, ports)], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        limit = time.monotonic() + START_LIMIT_S
        while wait and not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > limit:
                self.kill()
                raise click.ClickException(f"tritonserver did not start: {self._log.read_text()[-3000:]}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Return whether its models are loaded."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v2/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            left = self._shared_memory()
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None
            for region in left:
                region.unlink(missing_ok=True)

    def _shared_memory(self) -> set[Path]:
        """Return the files in /dev/shm that the server shares with its backends, which nobody removes after a kill."""
        assert self._process is not None
        try:
            lines = Path(f"/proc/{self._process.pid}/maps").read_text().splitlines()
        except OSError:
            return set()
        return {Path(line.split()[-1]) for line in lines if line.split()[-1].startswith("/dev/shm/triton_")}

    def numbers_of_batches(self) -> list[tuple[int, int]]:
        """Return requests and images of each batch that the server ran."""
        return [tuple(map(int, line.split())) for line in self.batches.read_text().splitlines()]  # type: ignore[misc]


SERVER_FILES = UNPUBLISHED.parent / "tritonserver"
server_files_option = click.option(
    "--server-files",
    type=click.Path(path_type=Path),
    default=SERVER_FILES,
    help="Folder of the server's wheel; installed there once.  [default: artifacts/tritonserver]",
)


def is_installed(files: Path) -> bool:
    """Return whether a server is in the folder of `install_server`."""
    return (files / "backends" / "onnxruntime").is_dir()


@contextmanager
def server_of(engine: Path, files: Path, *, queue_delay_us: int) -> Iterator[tuple[TritonServer, str]]:
    """Start a server of one model; yield it with the model's name.

    Args:
        engine: an exported .onnx.
        files: folder of the server's wheel, which is installed there if it is absent.
        queue_delay_us: how long a request waits for others.

    Raises:
        click.ClickException: the server cannot be installed here, or does not start.
    """
    if not is_installed(files) and (reason := install_server(files)):
        raise click.ClickException(f"{reason}. Fix: another --server-files")
    with tempfile.TemporaryDirectory() as folder:
        settings = TritonSettings(max_queue_delay_us=queue_delay_us, warmup="off")  # it would be counted as requests
        (model,) = write_triton_repository([engine], Path(folder) / "models", settings=settings)
        with TritonServer(files, Path(folder) / "models", Path(folder) / "server.log") as server:
            yield server, model.name
