"""Measure what the base install takes: `pip install '.[cpu]'` into a new environment, in seconds and megabytes.

It is what `make demo` and every user of `fer-deploy live` install: the runtime, without PyTorch. pip downloads each
package again ("no cache"), so the seconds depend on the network; a second environment is made from pip's cache, which
leaves the machine's part. Sizes are those of the files, by package, with the compiled bytecode that pip writes.

    python benchmarks/install.py
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import click
import torch
from harness.clips import ROOT
from harness.comparing import Measure, exact_measure
from harness.measuring import environment, markdown_table
from harness.reports import Report, Result
from harness.results import Output, output_options

SOURCES: Final = ("fer_train", "fer_deploy", "pyproject.toml", "README.md", "LICENSE")
_MB: Final = 1e6
_SHOWN: Final = 8


def copy_of_sources(folder: Path) -> Path:
    """Return a copy of what a wheel is made of: setuptools would leave a folder `build` in the repository."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(*command: str | Path, cache: Path) -> float:
    """Run a program without what this process's Python settings name, and return its seconds.

    Raises:
        click.ClickException: it failed; the message has the end of its errors.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_"))}
    started = time.perf_counter()
    done = subprocess.run(
        [*map(str, command)], env=kept | {"PIP_CACHE_DIR": str(cache)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1500:]}")
    return time.perf_counter() - started


def install(place: Path, source: Path, extra: str, cache: Path) -> dict[str, float]:
    """Make an environment, install into it, and return the seconds of both."""
    made = run(sys.executable, "-m", "venv", place, cache=cache)
    what = f"{source}[{extra}]"
    pip = (place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    return {"venv": made, "pip": run(*pip, "--constraint", ROOT / "constraints.txt", what, cache=cache)}


def bytes_by_package(place: Path) -> dict[str, int]:
    """Return the bytes of each package of an environment, the largest first."""
    (site,) = place.glob("lib/python*/site-packages")
    found = {
        one.metadata["Name"]: sum(_size(Path(str(file.locate()))) for file in one.files or ())
        for one in metadata.distributions(path=[str(site)])
    }
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def bytes_of(place: Path) -> int:
    """Return the bytes of all files of a folder; links are not followed."""
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and not path.is_symlink())


def as_markdown(result: Result) -> str:
    """Return the report as Markdown."""
    env, packages = result["environment"], result["packages"]
    first = dict(list(packages.items())[:_SHOWN])
    rest = sum(packages.values()) - sum(first.values())
    sizes = [{"package": name, "MB": size / _MB} for name, size in first.items()]
    sizes.append({"package": f"{len(packages) - len(first)} others", "MB": rest / _MB})
    return "\n".join(
        [
            f"# The base install, {env['hardware']}",
            "",
            f"{env['date']}, Python {env['python']}.",
            "",
            f"    {env['command']}",
            "",
            f"`pip install '.[{result['extra']}]'` into a new environment: {result['bytes'] / _MB:.0f} MB with pip. "
            f"Environment and install take {_seconds(result['downloaded'])} with every package downloaded, and "
            f"{_seconds(result['cached'])} from pip's cache.",
            "",
            *markdown_table(sizes, digits=1),
            "",
        ]
    )


def _seconds(times: Mapping[str, float]) -> str:
    return f"{sum(times.values()):.0f} s"


def measures_of(result: Result) -> list[Measure]:
    """Return what --compare compares: the size. One run tells no noise of the seconds."""
    seconds = [
        Measure(f"seconds, {name}", sum(result[name].values())) for name in ("downloaded", "cached") if name in result
    ]
    return [exact_measure("megabytes", result["bytes"] / _MB), *seconds]


def report(result: Result) -> Report:
    """Return what the result file shows."""
    return Report(as_markdown(result), measures_of(result))


@click.command()
@click.option("--extra", default="cpu", show_default=True, help="Extras of the package, separated by commas.")
@output_options(report)
def main(extra: str, output: Output) -> None:
    """Install the package into two new environments, which are removed."""
    with tempfile.TemporaryDirectory(prefix="fer-install-") as name:
        folder = Path(name)
        source = folder / "source"
        source.mkdir()
        copy_of_sources(source)
        result: dict[str, Any] = {"extra": extra}
        for what in ("downloaded", "cached"):  # the first one fills a cache of its own
            result[what] = install(folder / what, source, extra, folder / "cache")
            click.echo(f"{what}: {_seconds(result[what])}")
        result |= {"bytes": bytes_of(folder / "cached"), "packages": bytes_by_package(folder / "cached")}
    cpu = torch.device("cpu")
    output.write("install", cpu, {"environment": environment(cpu), **result})


if __name__ == "__main__":
    main()
