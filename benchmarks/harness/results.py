"""Result files of the benchmarks, a folder for each machine and commit: --out, --publish and --compare.

    <folder>/<machine>/<date>-<commit>/<benchmark>.json     everything that was measured, with the environment
    <folder>/<machine>/<date>-<commit>/<benchmark>.md       the report, and .png: the chart; both made from the .json

The folder is `artifacts/benchmarks`, which git ignores; with --publish also `benchmarks/results`. A name that ends in
"-changed" is from a checkout with changes that were not committed.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch
from harness.clips import UNPUBLISHED
from harness.comparing import Measure, changes_in_words, measures_of
from harness.machine import machine_lines

from fer_deploy.bench.machine.host import Host
from fer_deploy.files.durable import whole_file, write_whole
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_train.hardware import describe_hardware

RESULTS = Path(__file__).parents[1] / "results"
"""Folder of results in git; written only with --publish."""
Chart = Callable[[Path], None]
"""Function that draws a picture into a file."""


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
        out: .md file to write; None: in a folder of the machine and the commit in `UNPUBLISHED`.
        publish: whether to write to `RESULTS` too.
        compare: .json of an earlier run, with which the new one is compared; None: no comparison.
        host: this machine, before the run.
    """

    out: Path | None
    publish: bool
    compare: Path | None = None
    host: Host = field(default_factory=Host.now)

    def paths(self, what: str, device: torch.device) -> list[Path]:
        """Return the .md files to write."""
        inside = Path(machine_name(device), run_name(self.host), f"{what}.md")
        return [self.out or UNPUBLISHED / inside, *([RESULTS / inside] if self.publish else [])]

    def write(
        self,
        what: str,
        device: torch.device,
        result: dict[str, Any],
        markdown: str,
        chart: Chart | None = None,
        *,
        measures: Sequence[Measure] = (),
    ) -> None:
        """Write all results and print their paths; with --compare, print what changed.

        Args:
            what: name of the benchmark.
            device: that was measured.
            result: plain values for the .json; "host" and "measures" are added. A "host" in it says that the report
                names the machine itself.
            markdown: the report; commit, instructions, load and other work of the machine are added.
            chart: draws the .png.
            measures: what --compare compares.
        """
        host = self.host.ended()
        everything = {
            "benchmark": what,
            **result,
            "host": host.to_dict(),
            "measures": [one.to_dict() for one in measures],
        }
        report = markdown if "host" in result else "\n".join([markdown.rstrip("\n"), "", *machine_lines(host), ""])
        for path in self.paths(what, device):
            write_results(path, everything, report, chart)
            click.echo(f"written: {path}")
        if self.compare is not None:
            old = json.loads(_file_to_compare(self.compare, what).read_text())
            click.echo(changes_in_words(old, without_folders_anywhere(everything)))


def _file_to_compare(path: Path, what: str) -> Path:
    """Return the .json of a benchmark: `path` itself, or the one in the folder of a run.

    Raises:
        click.UsageError: there is none, or it holds nothing to compare.
    """
    file = path / f"{what}.json" if path.is_dir() else path.with_suffix(".json")
    try:
        found = json.loads(file.read_text())
        if (other := found.get("benchmark", what)) != what:
            raise ValueError(f"it is of {other}")
        measures_of(found)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise click.UsageError(
            f"--compare: {file} is no result of this benchmark ({err}). Fix: the .json that an earlier run wrote"
        ) from err
    return file


def _untracked(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.resolve().is_relative_to(RESULTS.resolve()):
        raise click.UsageError(f"{path} is among the published results. Fix: --publish writes there; or another --out")
    if path is not None and path.suffix != ".md":  # the report would replace the .json or .png beside it
        raise click.UsageError(f"--out {path} must end in .md. Fix: --out {path.with_suffix('.md')}")
    return path


publish_option = click.option("--publish", is_flag=True, help="Write to benchmarks/results, too.")


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --out, --publish and --compare to a command, which receives them as the argument `output`.

    Work of this project that runs on the same machine is named first, because it makes absolute times worthless.
    """

    @functools.wraps(command)
    def with_output(*, out: Path | None, publish: bool, compare: Path | None, **options: Any) -> None:
        if compare is not None:
            _file_to_compare(compare, Path(inspect.getfile(command)).stem)
        output = Output(out, publish, compare)
        for work in output.host.background:
            click.echo(f"beside this run: {work.command}; {work.advice}", err=True)
        command(output=output, **options)

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
    return out_option(publish_option(compare_option(with_output)))


def write_results(path: Path, result: dict[str, Any], markdown: str, chart: Chart | None = None) -> None:
    """Write the Markdown to `path`, and beside it all results as JSON and the chart as PNG.

    Folders are removed from absolute paths.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path.with_suffix(".json"), (json.dumps(without_folders_anywhere(result), indent=2) + "\n").encode())
    if chart is not None:
        with whole_file(path.with_suffix(".png")) as draft:
            chart(draft)
    write_whole(path, without_folders_in_text(markdown).encode())


def without_folders_anywhere(value: Any) -> Any:
    """Return plain data without the folders of absolute paths in its texts."""
    if isinstance(value, Mapping):
        return {name: without_folders_anywhere(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders_anywhere(inner) for inner in value]
    return without_folders_in_text(value) if isinstance(value, str) else value
