"""Draw timeline.png with Matplotlib: the emotions of each person over the video."""

import io
import warnings
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.analyze.report.stacks import colors_of, stacks_from_timeline, tick_step_s, tick_text
from fer_deploy.analyze.report.summary import Person, Summary
from fer_deploy.durations import duration_text

MOST_ROWS: Final = 12
_DPI = 120
_WIDTH_INCHES, _ROW_INCHES, _MARGIN_INCHES = 13.0, 0.95, 1.95
_ABSENT, _INK, _FAINT = "#f5f6f8", "#22262e", "#6b7280"
_MOST_TICKS = 14
_MOST_LEGEND_COLUMNS = 10
_LONGEST_TITLE = 16
"""Letters of a person's name."""
_TITLE_LEFT = 0.01
"""Share of the width; the margin on the right is equal."""
_FONTS_OF_OTHER_SCRIPTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Hiragino Sans",
    "PingFang SC",
    "Arial Unicode MS",
)
"""Fonts of Linux, Windows and macOS for letters that Matplotlib's own font lacks."""


def timeline_png(summary: Summary, timelines: dict[int, Timeline]) -> bytes:
    """Return a PNG with one row for each of the people visible longest, at most `MOST_ROWS`."""
    people = longest_visible(summary.people, MOST_ROWS)
    height = _MARGIN_INCHES + _ROW_INCHES * max(1, len(people))
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(max(1, len(people)), 1, sharex=True, squeeze=False)[:, 0]
    colors = colors_of(summary.labels)
    for axis, person in zip(axes, people, strict=False):
        _draw_person(axis, person, timelines[person.track], list(colors.values()))
    if not people:
        axes[0].text(
            0.5, 0.5, "no person was followed for a second", transform=axes[0].transAxes, ha="center", color=_FAINT
        )
    for axis in axes:
        _plain(axis, summary.start_s, summary.duration_s)
    axes[-1].set_xlabel(_note(summary, len(people)), fontsize=9, color=_FAINT)
    _legend(axes[0], colors)
    png = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that no installed font has are drawn as boxes; report.html shows them.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        _title(figure, summary.name)
        figure.savefig(png, format="png")
    return png.getvalue()


def longest_visible(people: Sequence[Person], num: int) -> list[Person]:
    """Return the `num` people visible longest, in the order of their numbers."""
    longest = sorted(people, key=lambda person: (-person.visible_s, person.number))[:num]
    return sorted(longest, key=lambda person: person.number)


def _draw_person(axis: Axes, person: Person, timeline: Timeline, colors: Sequence[str]) -> None:
    for stack in stacks_from_timeline(timeline.coarse()):
        for color, low, high in zip(colors, stack.levels[:-1], stack.levels[1:], strict=True):
            axis.fill_between(stack.times_s, low, high, color=color, linewidth=0)
    label = f"{_short(person.title)}\n{duration_text(person.visible_s)} visible"
    axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9, color=_INK, parse_math=False)


def _short(title: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in title)
    return printable if len(printable) <= _LONGEST_TITLE else middle_left_out(printable, _LONGEST_TITLE - 1)


def _plain(axis: Any, start_s: float, end_s: float) -> None:
    duration_s = end_s - start_s
    axis.set(xlim=(start_s, end_s), ylim=(0, 1), facecolor=_ABSENT)
    axis.set_yticks([])
    axis.xaxis.set_major_locator(MultipleLocator(tick_step_s(duration_s, _MOST_TICKS)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value, duration_s)))
    axis.tick_params(axis="x", labelsize=9, colors=_FAINT, length=3)
    for side in axis.spines.values():
        side.set_visible(False)


def _legend(top: Axes, colors: dict[str, str]) -> None:
    handles = [Patch(color=color, label=label) for label, color in colors.items()]
    top.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(len(handles), _MOST_LEGEND_COLUMNS),
        frameon=False,
        fontsize=9,
        borderaxespad=0.2,
        borderpad=0.2,
    )


def _title(figure: Figure, name: str) -> None:
    """Write the name as title, with its middle replaced by … if it does not fit."""
    at_hand = {font.name for font in fontManager.ttflist}
    fonts = ["DejaVu Sans", *(font for font in _FONTS_OF_OTHER_SCRIPTS if font in at_hand)]
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    title = figure.suptitle(
        printable, fontsize=13, color=_INK, ha="left", x=_TITLE_LEFT, parse_math=False, fontfamily=fonts
    )
    room = (1 - 2 * _TITLE_LEFT) * figure.bbox.width
    num_letters = len(printable)
    while num_letters > 2 and (width := title.get_window_extent().width) > room:
        num_letters = min(num_letters - 1, round(num_letters * room / width))
        title.set_text(middle_left_out(printable, num_letters))


def middle_left_out(text: str, num_letters: int) -> str:
    """Return `num_letters` letters of a text, half from its start and half from its end, with … between."""
    num_last = num_letters // 2
    return f"{text[: num_letters - num_last]}…{text[len(text) - num_last :]}"


def _note(summary: Summary, num_rows: int) -> str:
    note = "smoothed probabilities of each expression; an expression is not a feeling"
    more = len(summary.people) - num_rows
    return f"the {num_rows} people visible longest, {more} more in report.html; {note}" if more > 0 else note
