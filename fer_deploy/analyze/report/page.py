"""Render report.html and index.html with Jinja; each is a single file that loads nothing else."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.analyze.report.stacks import (
    Stack,
    colors_of,
    count_text,
    stacks_from_timeline,
    tick_text,
)
from fer_deploy.analyze.report.summary import Outcome, Person, Summary
from fer_deploy.analyze.result_files import GENERATOR
from fer_deploy.durations import duration_text
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.vision.palette import UNSURE_COLOR
from fer_deploy.vision.types import UNREADABLE, UNSURE

MOST_CARDS: Final = 24
"""People with a card and a timeline; the others have a row in a table."""
_WIDTH, _HEIGHT, _NUM_TICKS = 1000.0, 100.0, 7


def report_html(summary: Summary, timelines: dict[int, Timeline], files: Sequence[str]) -> str:
    """Return the page about one video.

    Args:
        summary: of the video.
        timelines: by person, for the people with a card.
        files: names of the files beside it.
    """
    colors = colors_of(summary.labels) | {UNSURE: UNSURE_COLOR}
    cards = [
        {"person": person, "shares": _shares(person, colors), "areas": _areas(timelines[person.track], summary)}
        for person in summary.people
        if person.track in timelines
    ]
    return _page(
        "report.html.j2",
        summary=summary,
        cards=cards,
        files=files,
        colors=colors,
        unsure=UNSURE,
        unreadable=UNREADABLE,
        others=[person for person in summary.people if person.track not in timelines],
        ticks=[tick_text(second, summary.duration_s) for second in np.linspace(0, summary.duration_s, _NUM_TICKS)],
        share_of=_shares,
    )


def index_html(outcomes: Sequence[Outcome]) -> str:
    """Return the page that links to the reports of several videos, in the order of their names."""
    by_name = sorted(outcomes, key=lambda outcome: (outcome.video.name.casefold(), outcome.folder))
    num_failed = sum(outcome.summary is None for outcome in outcomes)
    return _page("index.html.j2", outcomes=by_name, num_failed=num_failed, generator=GENERATOR)


def _page(template: str, **content: Any) -> str:
    pages = Environment(
        loader=PackageLoader("fer_deploy.analyze.report", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["duration"] = duration_text
    pages.filters["percent"] = lambda share: "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")
    pages.filters["portable"] = lambda failure: without_folders_in_text(str(failure))
    pages.filters["words"] = lambda flag: flag.lower().replace("_", " ")
    pages.filters["counted"] = count_text
    pages.filters["count"] = lambda number: f"{number:,}"
    return pages.get_template(template).render(**content)


def _shares(person: Person, colors: dict[str, str]) -> list[tuple[str, float, str]]:
    """Return label, share and color of the shown labels, the most frequent first."""
    shown = sorted(person.shares.items(), key=lambda item: -item[1])
    return [(label, share, colors.get(label, UNSURE_COLOR)) for label, share in shown]


def _areas(timeline: Timeline, summary: Summary) -> list[tuple[str, str]]:
    """Return the color and the SVG path of each label's area."""
    stacks = list(stacks_from_timeline(timeline))
    colors = colors_of(summary.labels).values()
    return [
        (color, " ".join(_path(stack, row, summary.duration_s) for stack in stacks)) for row, color in enumerate(colors)
    ]


def _path(stack: Stack, row: int, duration_s: float) -> str:
    x = stack.times_s / duration_s * _WIDTH
    low, high = (1 - stack.levels[row]) * _HEIGHT, (1 - stack.levels[row + 1]) * _HEIGHT
    there = [f"{a:.1f},{b:.1f}" for a, b in zip(x, high, strict=True)]
    back = [f"{a:.1f},{b:.1f}" for a, b in zip(x[::-1], low[::-1], strict=True)]
    return f"M{' '.join(there + back)}z"
