"""What a benchmark's .json shows: its text, its chart and the figures that --compare compares. Measures nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.comparing import Measure
from harness.machine import machine_lines

from fer_deploy.files.durable import whole_file, write_whole
from fer_deploy.privacy.portable_paths import without_folders_in_text

Result = dict[str, Any]
"""A result file: what JSON can hold."""
Chart = Callable[[Path], None]
"""Function that draws a picture into a file."""


@dataclass(frozen=True)
class Report:
    """Everything that is made from a result file.

    Attributes:
        markdown: the text.
        measures: figures that --compare compares.
        chart: draws the .png; None: there is none.
        names_machine: whether the text has `machine_lines`; else they follow it.
    """

    markdown: str
    measures: Sequence[Measure] = ()
    chart: Chart | None = None
    names_machine: bool = False


Reporter = Callable[[Result], Report]
"""Function `report` of a benchmark: the report of its result file."""


def as_stored(value: Any) -> Any:
    """Return plain data as it is read back from its file, without the folders of absolute paths in its texts."""
    return json.loads(json.dumps(without_folders_anywhere(value)))


def without_folders_anywhere(value: Any) -> Any:
    """Return plain data without the folders of absolute paths in its texts."""
    if isinstance(value, Mapping):
        return {name: without_folders_anywhere(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders_anywhere(inner) for inner in value]
    return without_folders_in_text(value) if isinstance(value, str) else value


def text_of(report: Report, result: Result) -> str:
    """Return the whole Markdown: the report's, and the lines about the machine unless it has them."""
    machine = [] if report.names_machine else machine_lines(result.get("host"))
    text = "\n".join([report.markdown.rstrip("\n"), "", *machine, ""]) if machine else report.markdown
    return without_folders_in_text(text)


def write_results(path: Path, result: Result, report: Report) -> None:
    """Write the result as JSON beside `path`, and what shows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path.with_suffix(".json"), (json.dumps(as_stored(result), indent=2) + "\n").encode())
    write_shown(path, result, report)


def write_shown(path: Path, result: Result, report: Report) -> None:
    """Write the Markdown to `path`, and beside it the chart as PNG."""
    if report.chart is not None:
        with whole_file(path.with_suffix(".png")) as draft:
            report.chart(draft)
    write_whole(path, text_of(report, result).encode())
