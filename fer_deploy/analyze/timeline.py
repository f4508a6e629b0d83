"""timeline.png: what each person showed over the video. Matplotlib lives here."""

import io
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fer_deploy.analyze.people_seen import Timeline
from fer_deploy.analyze.stacks import SHORT_S, clock_text, colors_of, stacks_from_timeline, tick_text
from fer_deploy.analyze.summary import Person, Summary

MOST_ROWS: Final = 12
_DPI = 120
_WIDTH_INCHES, _ROW_INCHES, _MARGIN_INCHES = 13.0, 0.95, 1.75
_ABSENT, _INK, _FAINT = "#f5f6f8", "#22262e", "#6b7280"
_CLOCK_STEPS = [1, 1.5, 2, 3, 6, 10]


def timeline_png(summary: Summary, timelines: dict[int, Timeline]) -> bytes:
    """Return a PNG with a row for each of the people that were visible longest, at most `MOST_ROWS`."""
    people = longest_visible(summary.people, MOST_ROWS)
    height = _MARGIN_INCHES + _ROW_INCHES * max(1, len(people))
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(max(1, len(people)), 1, sharex=True, squeeze=False)[:, 0]
    colors = colors_of(summary.labels)
    for axis, person in zip(axes, people, strict=False):
        _draw_person(axis, person, timelines[person.number], list(colors.values()))
    if not people:
        axes[0].text(
            0.5, 0.5, "nobody was visible for a second", transform=axes[0].transAxes, ha="center", color=_FAINT
        )
    for axis in axes:
        _plain(axis, summary.duration_s)
    axes[-1].set_xlabel(_note(summary, len(people)), fontsize=9, color=_FAINT)
    _title(figure, summary, colors)
    png = io.BytesIO()
    figure.savefig(png, dpi=_DPI, format="png")
    return png.getvalue()


def longest_visible(people: Sequence[Person], num: int) -> list[Person]:
    """Return those visible longest, in the order of their numbers."""
    longest = sorted(people, key=lambda person: (-person.visible_s, person.number))[:num]
    return sorted(longest, key=lambda person: person.number)


def _draw_person(axis: Axes, person: Person, timeline: Timeline, colors: Sequence[str]) -> None:
    for stack in stacks_from_timeline(timeline):
        for color, low, high in zip(colors, stack.levels, stack.levels[1:], strict=False):
            axis.fill_between(stack.times_s, low, high, color=color, linewidth=0)
    label = f"person {person.number}\n{clock_text(person.visible_s)} visible"
    axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9, color=_INK)


def _plain(axis: Any, duration_s: float) -> None:
    axis.set(xlim=(0, duration_s), ylim=(0, 1), facecolor=_ABSENT)
    axis.set_yticks([])
    axis.xaxis.set_major_locator(MaxNLocator(nbins=13, steps=_CLOCK_STEPS, integer=duration_s > SHORT_S))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value, duration_s)))
    axis.tick_params(axis="x", labelsize=9, colors=_FAINT, length=3)
    for side in axis.spines.values():
        side.set_visible(False)


def _title(figure: Figure, summary: Summary, colors: dict[str, str]) -> None:
    figure.suptitle(summary.name, fontsize=13, color=_INK, ha="left", x=0.01)
    handles = [Patch(color=color, label=label) for label, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False, fontsize=9)


def _note(summary: Summary, num_rows: int) -> str:
    note = "smoothed probabilities of each expression; an expression is not a feeling"
    more = len(summary.people) - num_rows
    return f"the {num_rows} people visible longest, {more} more in report.html; {note}" if more > 0 else note
