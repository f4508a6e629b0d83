"""Panels of a Grafana dashboard, drawn with Matplotlib: stat, timeseries, state-timeline and table."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from dashboard_picture import Series

COLORS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#705da0", "#3274d9", "#8f3bb8")
NAMED = {"red": "#e02f44", "orange": "#ff780a", "yellow": "#e0b400", "green": "#299c46"}
SMALL = 7.5
_SECONDS = ((86_400, "days"), (3_600, "hours"), (60, "mins"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_PART_OF_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
_MOST_IN_LEGEND = 24
_LETTER_PX, _NAME_PX, _TIMES_PX = 6, 13, 20
"""Width of a letter, height of a row of the legend and of the times below the lines."""


def text_of(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value as Grafana writes it with a unit; raises KeyError for a unit that is not known here."""
    if math.isnan(value):
        return "NaN"
    if unit in _PART_OF_SECONDS:
        seconds = value * _PART_OF_SECONDS[unit]
        size, word = next((one for one in _SECONDS if abs(seconds) >= one[0]), _SECONDS[-1])
        return f"{_number(seconds / size, decimals)} {word}" if seconds else "0 s"
    if unit == "percentunit":
        return f"{_number(100 * value, decimals)}%"
    if unit.startswith("suffix:"):
        return f"{_number(value, decimals)} {unit.partition(':')[2]}"
    return _number(value, decimals) + {"short": "", "none": "", "reqps": " req/s"}[unit]


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def mapped(value: float, defaults: dict[str, Any]) -> str:
    """Return a value by the panel's value mappings, else with its unit."""
    for mapping in defaults.get("mappings", ()):
        if mapping["type"] == "value" and (found := mapping["options"].get(f"{value:g}")):
            return str(found["text"])
    return text_of(value, defaults["unit"], defaults.get("decimals"))


def color_of(value: float, defaults: dict[str, Any]) -> str:
    """Return the color of the last threshold that a value reaches."""
    steps = defaults.get("thresholds", {}).get("steps", ())
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return NAMED[reached[-1]] if reached else NAMED["green"]


def draw_stat(axes: Axes, panel: dict[str, Any], lines: "Sequence[Series]") -> None:
    """Draw the newest value of each line, with its name where there are several."""
    defaults = panel["fieldConfig"]["defaults"]
    for place, line in enumerate(lines):
        middle = (place + 0.5) / len(lines)
        size = 24 if len(lines) == 1 else 15
        text, color = mapped(line.last, defaults), color_of(line.last, defaults)
        axes.text(middle, 0.42, text, fontsize=size, color=color, ha="center", va="center", transform=axes.transAxes)
        if len(lines) > 1:
            name_size = SMALL if len(line.name) < 25 else SMALL - 1.5
            axes.text(middle, 0.14, line.name, fontsize=name_size, ha="center", transform=axes.transAxes)
    _note_if_empty(axes, lines, defaults)


def draw_timeseries(axes: Axes, panel: dict[str, Any], lines: "Sequence[Series]") -> None:
    """Draw lines over time, stacked if the panel says so, above their legend."""
    defaults = panel["fieldConfig"]["defaults"]
    if _note_if_empty(axes, lines, defaults):
        return
    in_a_row, unit, decimals = _in_a_row(lines, axes), defaults["unit"], defaults.get("decimals")
    left_px = 34 + _LETTER_PX * len(text_of(1.0, unit))
    inner = _inner(axes, lines, left_px=left_px, num_rows=-(-min(len(lines), _MOST_IN_LEGEND) // in_a_row))
    _draw_lines(inner, lines, defaults.get("custom", {}))
    inner.set_ylim(bottom=defaults.get("min"), top=defaults.get("max"))
    inner.yaxis.set_major_locator(MaxNLocator(5, integer=decimals == 0))
    inner.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text_of(value, unit, decimals)))
    inner.grid(color="#e3e3e3", linewidth=0.6)
    handles, names = inner.get_legend_handles_labels()
    inner.legend(
        handles[:_MOST_IN_LEGEND],
        names[:_MOST_IN_LEGEND],
        loc="upper left",
        bbox_to_anchor=(0, -_TIMES_PX / _height_px(inner)),
        ncols=in_a_row,
        fontsize=SMALL,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        labelspacing=0.35,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _draw_lines(inner: Axes, lines: "Sequence[Series]", custom: dict[str, Any]) -> None:
    is_stacked = custom.get("stacking", {}).get("mode") == "normal"
    is_points = custom.get("drawStyle") == "points"
    form = {"marker": "o", "markersize": 4, "linestyle": ""} if is_points else {"linewidth": 1.2}
    below = [0.0] * len(lines[0].times)
    for place, line in enumerate(lines):
        color, values = COLORS[place % len(COLORS)], line.values
        if is_stacked:
            values = [low + value for low, value in zip(below, values, strict=True)]
            inner.fill_between(line.times, below, values, color=color, alpha=custom.get("fillOpacity", 0) / 100)
            below = [low if math.isnan(value) else value for low, value in zip(below, values, strict=True)]
        inner.plot(line.times, values, color=color, label=line.name, **form)


def _in_a_row(lines: "Sequence[Series]", axes: Axes) -> int:
    """Return how many names of a legend fit beside each other."""
    width_px = axes.get_position().width * axes.figure.get_figwidth() * axes.figure.dpi
    return max(1, min(len(lines), int(width_px / (_LETTER_PX * max(len(line.name) for line in lines) + 40))))


def _height_px(axes: Axes) -> float:
    return float(axes.get_position().height * axes.figure.get_figheight() * axes.figure.dpi)


def _inner(axes: Axes, lines: "Sequence[Series]", *, left_px: float, num_rows: int) -> Axes:
    """Return axes inside of a panel, with room for its title, the times and so many rows of names."""
    left, bottom, width, height = axes.get_position().bounds
    wide, high = (axes.figure.dpi * one for one in axes.figure.get_size_inches())
    below, beside = (_TIMES_PX + _NAME_PX * num_rows + 4) / high, left_px / wide
    size = width - beside - 12 / wide, height - below - 28 / high
    inner = axes.figure.add_axes((left + beside, bottom + below, *size))
    inner.spines[["top", "right"]].set_visible(False)
    inner.tick_params(labelsize=SMALL, length=2)
    inner.set_xlim(lines[0].times[0], lines[0].times[-1])
    inner.xaxis.set_major_locator(mdates.AutoDateLocator(maxticks=7))
    inner.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    return inner  # type: ignore[no-any-return]


def draw_states(axes: Axes, panel: dict[str, Any], lines: "Sequence[Series]") -> None:
    """Draw a bar for each line, colored by its thresholds, with the words of its mappings."""
    defaults = panel["fieldConfig"]["defaults"]
    if _note_if_empty(axes, lines, defaults):
        return
    inner = _inner(axes, lines, left_px=_LETTER_PX * max(len(line.name) for line in lines) + 14, num_rows=0)
    for place, line in enumerate(lines):
        step = line.times[1] - line.times[0] if len(line.times) > 1 else 1.0
        begin = 0
        for now in range(1, len(line.values) + 1):
            if now < len(line.values) and line.values[now] == line.values[begin]:
                continue
            value, width = line.values[begin], (now - begin) * step
            if not math.isnan(value):
                inner.barh(place, width, 0.8, line.times[begin], color=color_of(value, defaults))
                if now - begin > len(line.values) / 10:
                    middle = line.times[begin] + width / 2
                    inner.text(middle, place, mapped(value, defaults), ha="center", va="center", fontsize=SMALL)
            begin = now
    inner.set_ylim(len(lines) - 0.4, -0.6)
    inner.set_yticks(range(len(lines)), [line.name for line in lines])


def draw_table(axes: Axes, panel: dict[str, Any], lines: "Sequence[Series]") -> None:
    """Draw labels as columns, without those that the panel leaves out."""
    if _note_if_empty(axes, lines, panel["fieldConfig"]["defaults"]):
        return
    names = sorted({name for line in lines for name in line.labels})
    steps = [one["options"] for one in panel.get("transformations", ()) if one["id"] == "organize"]
    hidden = {name for step in steps for name, is_hidden in step.get("excludeByName", {}).items() if is_hidden}
    shown = {name: new for step in steps for name, new in step.get("renameByName", {}).items()}
    order = {name: place for step in steps for name, place in step.get("indexByName", {}).items()}
    columns = [name for name in ("Time", *names, "Value") if name not in hidden]
    columns.sort(key=lambda name: order.get(name, len(order)))
    rows = [[str(line.labels.get(name, "...")) for name in columns] for line in lines]
    heads = [shown.get(name, name) for name in columns]
    letters = [max(map(len, column)) + 4 for column in zip(heads, *rows, strict=True)]
    widths = [one / sum(letters) for one in letters]
    table = axes.table(rows, colLabels=heads, colWidths=widths, cellLoc="left", bbox=(0.006, 0.06, 0.988, 0.78))
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    for cell in table.get_celld().values():
        cell.set_edgecolor("#e3e3e3")


def _note_if_empty(axes: Axes, lines: "Sequence[Series]", defaults: dict[str, Any]) -> bool:
    axes.spines[:].set_color("#d8d9da")
    if not lines:
        axes.text(0.5, 0.45, defaults.get("noValue", "No data"), fontsize=11, color="#777", ha="center")
    return not lines


PANELS: dict[str, Callable[[Axes, dict[str, Any], "Sequence[Series]"], None]] = {
    "stat": draw_stat,
    "timeseries": draw_timeseries,
    "state-timeline": draw_states,
    "table": draw_table,
}
