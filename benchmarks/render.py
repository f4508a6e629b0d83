"""Make the reports of benchmarks again from their .json: the text, and the chart where there is one.

    python benchmarks/render.py benchmarks/results/amd-epyc-2-cores/2026-11-29-c99e0a0
    python benchmarks/render.py fps.json --out /tmp/again          # beside nothing that is there
    python benchmarks/render.py benchmarks/results --check         # which reports differ from their .json

A benchmark does the same with the .json that it has just written.
"""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from harness.reports import Report, Result, text_of, write_shown

BENCHMARKS = Path(__file__).parent


class NotRenderedError(Exception):
    """No report can be made from a file; the message is the reason."""


def report_of(file: Path) -> tuple[Result, Report]:
    """Return a result file and its report.

    Raises:
        NotRenderedError: it is no result of a benchmark, or of a form that the benchmark's report no longer reads.
    """
    result: Any = json.loads(file.read_text())
    name = result.get("benchmark", file.stem) if isinstance(result, dict) else file.stem
    if not (BENCHMARKS / f"{name}.py").is_file():
        raise NotRenderedError(f"no benchmark is named {name}")
    try:
        return result, importlib.import_module(name).report(result)
    except (LookupError, TypeError, ValueError, AttributeError) as err:
        raise NotRenderedError(f"{name}.py wrote another form then: {type(err).__name__} {err}") from err


def result_files(places: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the .json files of the places, and of the folders among them."""
    for place in places:
        yield from sorted(place.rglob("*.json")) if place.is_dir() else [place.with_suffix(".json")]


@click.command()
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to.  [default: beside]")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a text differs from its .json.")
def main(places: tuple[Path, ...], out: Path | None, check: bool) -> None:
    """Make the reports of result files (or of folders of them) again."""
    different = 0
    for file in result_files(places):
        try:
            result, report = report_of(file)
        except NotRenderedError as err:
            click.echo(f"{file}: not rendered: {err}")
            continue
        path = file.with_suffix(".md")
        if check:
            is_same = path.is_file() and path.read_text() == text_of(report, result)
            different += not is_same
            click.echo(f"{path}: {'the same' if is_same else 'differs'}")
            continue
        path = path if out is None else out / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shown(path, result, report)
        click.echo(f"written: {path}")
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
