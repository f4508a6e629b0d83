"""A folder with small files by the documentation's names, and programs in its PATH that start in milliseconds."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from docs_pages import PYTHON, Block
from fork_server.starter import ForkServer

PROGRAMS = ("fer-deploy", "fer-train", "torchrun", "python")
TIMEOUT_S = 1200
_FIXED_PORT = re.compile(r"(?<![\d.])8080\b")
"""Of the web page; another program may have it, so a free one is put in its place: the only change to a block."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Workbench:
    """A fresh copy of the stand-ins, for the blocks of one page in their order."""

    def __init__(self, folder: Path, stand_ins: Path, server: ForkServer) -> None:
        shutil.copytree(stand_ins, folder, symlinks=True)
        self._folder = folder
        programs = folder / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name in PROGRAMS:
            server.write_program(programs, name)
        (programs / "activate").write_text("# this environment is active\n")
        for stamp in (".base", ".all"):  # newer than the Makefile: make installs nothing
            (folder / ".venv" / stamp).touch()
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        home = folder / "home"
        home.mkdir()
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("XDG_", "FER_", "DISPLAY", "MAKE"))
        }
        self._environment = {
            **kept,
            "PATH": path,
            "HOME": str(home),
            "FER_YUNET": str(folder / "yunet.onnx"),
            "FRAMES": "12",
            "PYTHON_EXEC": str(programs / "python"),  # of torchrun's workers
            "MPLCONFIGDIR": str(stand_ins / "matplotlib"),
        }

    def run(self, block: Block) -> str:
        """Run a block; return what went wrong with everything that it printed, or nothing."""
        text = _FIXED_PORT.sub(lambda _: str(free_port()), block.text)
        if block.language == PYTHON:
            script = self._folder / f"block_{block.line}.py"
            script.write_text(text)
            command = ["python", script.name]
        else:
            command = ["bash", "-euo", "pipefail", "-c", text]
        with subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                said, _ = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said = f"still running after {TIMEOUT_S} s\n{process.communicate()[0]}"
        code = process.returncode
        return f"line {block.line}: exit code {code}\n{text}\n{said[-4000:]}" if code else ""
