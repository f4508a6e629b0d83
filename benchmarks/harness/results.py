"""Result files of the benchmarks, a folder for each machine and commit: --out, --publish and --compare.

    <folder>/<machine>/<date>-<commit>/<benchmark>.json     everything that was measured, with the environment
    <folder>/<machine>/<date>-<commit>/<benchmark>.md       the report, and .png: the chart; both made from the .json,
                                                            as render.py does again

The folder is `artifacts/benchmarks`, which git ignores; with --publish also `benchmarks/results`. A name that ends in
"-changed" is from a checkout with changes that were not committed.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import torch
from harness.clips import UNPUBLISHED
from harness.comparing import changes_in_words, measures_of
from harness.reports import Reporter, Result, as_stored, text_of, write_results

from fer_deploy.bench.machine.host import Host
from fer_deploy.errors import FerDeployError
from fer_train.errors import FerTrainError
from fer_train.hardware import describe_hardware

RESULTS = Path(__file__).parents[1] / "results"
"""Folder of results in git; written only with --publish."""
_RESULT_OPTIONS = re.compile(r" --publish\b| --(compare|out)[ =]('[^']*'|\S+)")
"""Options that change nothing about the measurement."""


def machine_name(device: torch.device) -> str:
    """Return the name of this machine's folder: such as amd-epyc-2-cores."""
    hardware = describe_hardware(device).partition(", torch ")[0]
    return re.sub(r"[^a-z0-9]+", "-", hardware.lower().replace("(r)", "")).strip("-")


def run_name(host: Host) -> str:
    """Return the name of a run's folder: such as 2026-11-29-82f001f."""
    commit = "" if host.commit is None else f"-{host.commit[:7]}"
    return f"{host.started[:10]}{commit}{'-changed' if host.is_dirty else ''}"


@dataclass(frozen=True)
class Output:
    """Destination of the results of a benchmark.

    Attributes:
        report: of the benchmark.
        out: .md file to write; None: in a folder of the machine and the commit in `UNPUBLISHED`.
        publish: whether to write to `RESULTS` too.
        compare: .json of an earlier run, with which the new one is compared; None: no comparison.
        host: this machine, before the run.
    """

    report: Reporter
    out: Path | None
    publish: bool
    compare: Path | None = None
    host: Host = field(default_factory=Host.now)

    def paths(self, what: str, device: torch.device) -> list[Path]:
        """Return the .md files to write."""
        inside = Path(machine_name(device), run_name(self.host), f"{what}.md")
        return [self.out or UNPUBLISHED / inside, *([RESULTS / inside] if self.publish else [])]

    def write(self, what: str, device: torch.device, result: Result) -> None:
        """Print the report, write all results and print their paths; with --compare, print what changed.

        Args:
            what: name of the benchmark.
            device: that was measured.
            result: plain values for the .json; "benchmark", "host", "run_seconds" and "measures" are added. The report
                is made from what the file holds.
        """
        seconds = (datetime.now(UTC) - datetime.fromisoformat(self.host.started)).total_seconds()
        about = {"host": self.host.ended().to_dict(), "run_seconds": round(seconds)}
        everything = as_stored({"benchmark": what, **result, **about})
        report = self.report(everything)
        everything["measures"] = [one.to_dict() for one in report.measures]
        click.echo(text_of(report, everything))
        for path in self.paths(what, device):
            write_results(path, everything, report)
            click.echo(f"written: {path}")
        if self.compare is not None:
            click.echo(changes_in_words(_old_result(self.compare, what, self.report), everything))


def _old_result(path: Path, what: str, report: Reporter) -> Result:
    """Return a result of a benchmark: `path` itself, or the one in the folder of a run.

    Results from before figures were noted get those that their report finds.

    Raises:
        click.UsageError: there is none, or it holds nothing to compare.
    """
    file = path / f"{what}.json" if path.is_dir() else path.with_suffix(".json")
    try:
        found: Result = json.loads(file.read_text())
        if (other := found.get("benchmark", what)) != what:
            raise ValueError(f"it is of {other}")
        if not found.get("measures"):
            found["measures"] = [one.to_dict() for one in report(found).measures]
        measures_of(found)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as err:
        raise click.UsageError(
            f"--compare: {file} is no result of this benchmark ({err}). Fix: the .json that an earlier run wrote"
        ) from err
    return found


def known_seconds(command: str, what: str, machine: str) -> float | None:
    """Return how long the newest run of a command took, of this machine rather than of another; None: not known.

    Args:
        command: as `harness.measuring.command_as_typed` notes it, without --publish and --compare.
        what: name of the benchmark.
        machine: of `machine_name`.
    """
    found: list[tuple[bool, str, float]] = []
    for path in (*UNPUBLISHED.glob(f"*/*/{what}.json"), *RESULTS.glob(f"*/*/{what}.json")):
        try:
            result = json.loads(path.read_text())
            noted = result.get("environment", result)["command"]
            is_same = _RESULT_OPTIONS.sub("", noted) == command
            if is_same and (seconds := result.get("run_seconds")) is not None:
                found.append((path.parts[-3] == machine, result["host"]["started"], float(seconds)))
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # not of this version
            continue
    return max(found)[2] if found else None


def _untracked(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.resolve().is_relative_to(RESULTS.resolve()):
        raise click.UsageError(f"{path} is among the published results. Fix: --publish writes there; or another --out")
    if path is not None and path.suffix != ".md":  # the report would replace the .json or .png beside it
        raise click.UsageError(f"--out {path} must end in .md. Fix: --out {path.with_suffix('.md')}")
    return path


publish_option = click.option("--publish", is_flag=True, help="Write to benchmarks/results, too.")


def output_options(report: Reporter) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds --out, --publish and --compare to a command, which receives them as `output`.

    Work of this project that runs on the same machine is named first, because it makes absolute times worthless. An
    error of one of the packages is shown as a line.

    Args:
        report: makes the report of the command's result file.
    """
    out_option = click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_untracked,
        help=".md to write, and .json beside it.  [default: in artifacts/benchmarks]",
    )
    compare_option = click.option(
        "--compare",
        type=click.Path(path_type=Path, exists=True),
        help="An earlier .json, or the folder of an earlier run: tell what changed beyond the noise.",
    )

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_output(*, out: Path | None, publish: bool, compare: Path | None, **options: Any) -> None:
            if compare is not None:
                _old_result(compare, Path(inspect.getfile(command)).stem, report)
            output = Output(report, out, publish, compare)
            for work in output.host.background:
                click.echo(f"beside this run: {work.command}; {work.advice}", err=True)
            try:
                command(output=output, **options)
            except (FerDeployError, FerTrainError) as err:
                raise click.ClickException(str(err)) from err

        return out_option(publish_option(compare_option(with_output)))

    return with_options
