"""Measure the time from the shell to the first result: fer-deploy live, fer-deploy image, Recognizer, and --help.

Every run is a new process, and the commands alternate in rounds. "First line" is the first line on standard output,
which is the first result of `live --jsonl -`, `image --json` and Recognizer. CPU time is that of the whole process. The
share of imports is from one more run with Python's own import timer, which makes that run slower as a whole.

Two rows are bounds: Python alone, and Python with the three packages that no run can do without. The commands are
started as `python -m fer_deploy`, which is what the script `fer-deploy` runs.

    python benchmarks/startup.py --rounds 7

Files are in the system's cache ("warm") unless --cold can empty it before each run, for which root is needed.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import cv2
import torch
from harness.clips import ROOT, clips_at_hand, read_clip
from harness.comparing import Measure, median_measure
from harness.machine import machine_lines
from harness.measuring import environment, markdown_table, yunet_option
from harness.reports import Report, Result
from harness.results import Output, output_options

PYTHON = "Python alone"
BOUND = "NumPy, OpenCV and ONNX Runtime imported"
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")
_IMPORT_LINE = re.compile(r"^import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)$", re.MULTILINE)
_RECOGNIZE = (
    "import sys; from fer_deploy import Recognizer\n"
    "with Recognizer() as recognizer: print(len(recognizer.analyze(sys.argv[1])), flush=True)"
)
_there = click.Path(path_type=Path, exists=True)


class Run(NamedTuple):
    """One process.

    Attributes:
        first_ms: from its start to its first line on standard output.
        exit_ms: from its start to its end.
        cpu_ms: processor time of the process and of the children that it waited for.
    """

    first_ms: float
    exit_ms: float
    cpu_ms: float


def commands(clip: Path, picture: Path) -> dict[str, list[str]]:
    """Return the commands by name, as arguments for Python."""
    deploy, train = ["-m", "fer_deploy"], ["-m", "fer_train"]
    live = ["live", "--source", str(clip), "--jsonl", "-", "--no-display", "--max-frames", "4"]
    return {
        PYTHON: ["-c", "print()"],
        BOUND: ["-c", "import numpy, cv2, onnxruntime; print()"],
        "fer-deploy live, a clip": [*deploy, *live],
        "fer-deploy image": [*deploy, "image", "--json", str(picture)],
        "Recognizer().analyze": ["-c", _RECOGNIZE, str(picture)],
        "fer-deploy --help": [*deploy, "--help"],
        "fer-train --help": [*train, "--help"],
    }


def run_once(name: str, arguments: list[str], env: Mapping[str, str]) -> Run:
    """Run Python with these arguments and time it.

    Raises:
        click.ClickException: it failed or printed nothing; the message has the end of its errors.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors, env=dict(env))
        assert process.stdout is not None
        with process.stdout as lines:
            line = lines.readline()
            first_s = time.perf_counter() - started
            while lines.read(65536):
                pass
        _, status, usage = os.wait4(process.pid, 0)  # as wait(), but with the times of this process alone
        exit_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not line:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-1500:]
            raise click.ClickException(f"{name} ended with exit code {process.returncode}: {said}")
    return Run(1e3 * first_s, 1e3 * exit_s, 1e3 * (usage.ru_utime + usage.ru_stime))


def imports_of(arguments: list[str], env: Mapping[str, str]) -> tuple[float, dict[str, float]]:
    """Return the share of a run that is spent in imports, and the milliseconds of each package, the longest first."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], env=dict(env), capture_output=True, text=True, check=True
    )
    exit_ms = 1e3 * (time.perf_counter() - started)
    packages: dict[str, float] = {}
    for microseconds, module in _IMPORT_LINE.findall(done.stderr):
        package = module.partition(".")[0]
        packages[package] = packages.get(package, 0.0) + int(microseconds) / 1e3
    ordered = sorted(packages.items(), key=lambda item: -item[1])
    return sum(packages.values()) / exit_ms, dict(ordered)


def empty_file_cache(switch: Path = _DROP_CACHES) -> str:
    """Make the system read files from the disk again; return why it cannot, or an empty text."""
    try:
        os.sync()
        switch.write_text("3")
    except OSError as err:
        return f"the file cache cannot be emptied: {err.strerror}"
    return ""


def measure(
    wanted: Mapping[str, list[str]], env: Mapping[str, str], *, rounds: int, before: Callable[[], object]
) -> dict[str, list[Run]]:
    """Return the runs of each command, alternating, after one round that does not count.

    Args:
        wanted: arguments by name.
        env: of the processes.
        rounds: how often each runs.
        before: called before each run.
    """
    runs: dict[str, list[Run]] = {name: [] for name in wanted}
    for number in range(rounds + 1):
        for name, arguments in wanted.items():
            before()
            run = run_once(name, arguments, env)
            if number:
                runs[name].append(run)
    return runs


def rows_of(
    runs: Mapping[str, list[Run]], imports: Mapping[str, tuple[float, dict[str, float]]]
) -> list[dict[str, Any]]:
    """Return a row a command: medians, range of the first line, and time and CPU over the bound of its round."""
    rows = []
    for name, found in runs.items():
        share, packages = imports[name]
        first = [run.first_ms for run in found]
        pairs = list(zip(found, runs[BOUND], strict=True))
        rows.append(
            {
                "command": name,
                "first_ms": statistics.median(first),
                "first_range_ms": [min(first), max(first)],
                "exit_ms": statistics.median(run.exit_ms for run in found),
                "cpu_ms": statistics.median(run.cpu_ms for run in found),
                "over_bound": statistics.median(run.first_ms / bound.first_ms for run, bound in pairs),
                "cpu_over_bound": statistics.median(run.cpu_ms / bound.cpu_ms for run, bound in pairs),
                "import_share": share,
                "packages_ms": dict(list(packages.items())[:10]),
                "runs": [run._asdict() for run in found],
            }
        )
    return rows


def measures_of(runs: Mapping[str, list[Run]]) -> list[Measure]:
    """Return what --compare compares: the time to the first line and the CPU time, also as multiples of the bound."""
    found = []
    for name, own in runs.items():
        found.append(median_measure(f"{name}: first line in ms", [run.first_ms for run in own]))
        found.append(median_measure(f"{name}: CPU in ms", [run.cpu_ms for run in own]))
        if name != BOUND:
            pairs = list(zip(own, runs[BOUND], strict=True))
            first = [run.first_ms / bound.first_ms for run, bound in pairs]
            found.append(median_measure(f"{name}: first line, times the bound", first, is_ratio=True))
            cpu = [run.cpu_ms / bound.cpu_ms for run, bound in pairs]
            found.append(median_measure(f"{name}: CPU, times the bound", cpu, is_ratio=True))
    return found


def as_markdown(rows: list[dict[str, Any]], env: dict[str, str], machine: Sequence[str] = ()) -> str:
    """Return the report as Markdown; `machine` are lines about the machine."""
    table = [
        {
            "command": row["command"],
            "first line, ms": f"{row['first_ms']:.0f}",
            "from, to": f"{row['first_range_ms'][0]:.0f}, {row['first_range_ms'][1]:.0f}",
            "end, ms": f"{row['exit_ms']:.0f}",
            "CPU, ms": f"{row['cpu_ms']:.0f}",
            "times the bound: time, CPU": f"{row['over_bound']:.2f}, {row['cpu_over_bound']:.2f}",
            "imports": f"{row['import_share']:.0%}",
            "longest imports, ms": ", ".join(f"{name} {ms:.0f}" for name, ms in list(row["packages_ms"].items())[:4]),
        }
        for row in rows
    ]
    return "\n".join(
        [
            f"# From the shell to the first result, {env['hardware']}",
            "",
            f"{env['date']}, Python {env['python']}, {env['rounds']} rounds, median. Files: {env['files']}.",
            "",
            f"    {env['command']}",
            "",
            f"The bound is: {BOUND}. Imports: share of a run, from a run of its own with Python's import timer.",
            "",
            *markdown_table(table, digits=2),
            "",
            *machine,
            "",
        ]
    )


def report(result: Result) -> Report:
    """Return what the result file shows."""
    rows = result["results"]
    runs = {row["command"]: [Run(**run) for run in row["runs"]] for row in rows}
    text = as_markdown(rows, result["environment"], machine_lines(result.get("host")))
    return Report(text, measures_of(runs), names_machine=True)


@click.command()
@click.option("--clip", type=_there, help="For live, and its first frame for the picture.  [default: as for fps.py]")
@yunet_option
@click.option("--rounds", default=5, show_default=True)
@click.option("--cold", is_flag=True, help="Empty the system's file cache before each run, as root.")
@output_options(report)
def main(clip: Path | None, yunet: Path, rounds: int, cold: bool, output: Output) -> None:
    """Measure the time to the first result of new processes."""
    clip = clip or clips_at_hand()[0]
    why_warm = empty_file_cache() if cold else "in the cache, warm"
    before = empty_file_cache if not why_warm else lambda: ""
    env = os.environ | {"FER_YUNET": str(yunet), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        cv2.imwrite(str(picture), next(read_clip(clip)))
        wanted = commands(clip, picture)
        runs = measure(wanted, env, rounds=rounds, before=before)
        rows = rows_of(runs, {name: imports_of(arguments, env) for name, arguments in wanted.items()})
    device = torch.device("cpu")
    described = environment(device) | {"rounds": str(rounds), "files": why_warm or "read from the disk, cold"}
    output.write("startup", device, {"environment": described, "results": rows})


if __name__ == "__main__":
    main()
