"""Run a part of a benchmark in a process of its own: request and result travel as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

BENCHMARKS = Path(__file__).parents[1]


def run_apart(module: str, request: dict[str, Any], *, folder: Path = BENCHMARKS) -> dict[str, Any]:
    """Run `python -m module REQUEST` and return the JSON of its last line.

    Args:
        module: below `folder`; it prints one line of JSON at its end.
        request: plain values.
        folder: of the benchmarks.

    Raises:
        click.ClickException: it failed; the message has the end of its output.
    """
    return result_of([sys.executable, "-m", module, json.dumps(request)], [str(folder), *sys.path[1:]], request)


def result_of(command: list[str], import_path: list[str], request: dict[str, Any]) -> dict[str, Any]:
    """Run a command with this PYTHONPATH and return the JSON of its last line.

    Raises:
        click.ClickException: as `run_apart`.
    """
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(import_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise click.ClickException(f"{request['kind']} failed: {done.stderr.strip()[-1500:]}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result
