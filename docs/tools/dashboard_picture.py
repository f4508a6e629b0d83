"""Draw a Grafana dashboard from the answers of a Prometheus server: each panel in its place.

    python docs/tools/dashboard_picture.py deploy/grafana/fer-live.json http://127.0.0.1:9090 live.png --minutes 15

Matplotlib draws it, not Grafana: queries, places, titles, units, legends, limits and value mappings are those of the
dashboard, the rest is not. A query without an answer is named, and the exit code is 1, unless its panel says what an
empty answer means (`noValue`).
"""

import argparse
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.dates as mdates
from drawn_panels import PANELS
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLUMNS, COLUMN_PX, ROW_PX, GAP_PX, HEAD_PX, DPI = 24, 58, 38, 8, 44, 100
"""Grafana's grid: 24 columns; a row has 30 pixels, and 8 between the panels."""
SCRAPE_S = 15.0
"""Of deploy/prometheus.yml, and Grafana's default."""
_TIMEOUT_S = 30.0


class Series(NamedTuple):
    """One line of an answer.

    Attributes:
        name: as the legend says it.
        labels: of Prometheus.
        times: Matplotlib's days.
        values: NaN where there is none.
    """

    name: str
    labels: dict[str, str]
    times: list[float]
    values: list[float]

    @property
    def last(self) -> float:
        """The newest value that is a number; NaN without any."""
        return next((value for value in reversed(self.values) if not math.isnan(value)), math.nan)


class Span(NamedTuple):
    """The time that is drawn, in seconds since 1970."""

    start_s: float
    end_s: float

    def step_s(self, width_px: float) -> float:
        """Return the distance of two points: a pixel, and at least a scrape."""
        return max(SCRAPE_S, math.ceil((self.end_s - self.start_s) / width_px))


class Prometheus:
    """The server's HTTP API."""

    def __init__(self, address: str) -> None:
        """Set the address, such as http://127.0.0.1:9090."""
        self._address = address.rstrip("/")

    def lines(self, query: str, legend: str, span: Span, step_s: float) -> list[Series]:
        """Return the answer to a query; raises OSError with the server's reason."""
        words = {"query": query, "start": span.start_s, "end": span.end_s, "step": step_s}
        url = f"{self._address}/api/v1/query_range?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as err:
            raise OSError(f"{query}: {json.load(err)['error']}") from err
        return [_series(one["metric"], one["values"], legend, span, step_s) for one in found]


def _series(labels: dict[str, str], answered: list[list[Any]], legend: str, span: Span, step_s: float) -> Series:
    """Return a line with a NaN for each point that the answer lacks: a line ends there."""
    known = {round((when - span.start_s) / step_s): float(value) for when, value in answered}
    points = range(int((span.end_s - span.start_s) / step_s) + 1)
    name = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend)
    times = [mdates.date2num(_local(span.start_s + point * step_s)) for point in points]
    return Series(name, labels, times, [known.get(point, math.nan) for point in points])


def _local(seconds: float) -> Any:
    return mdates.datetime.datetime.fromtimestamp(seconds)


def query_of(expression: str, board: dict[str, Any], step_s: float) -> str:
    """Return a query with the dashboard's variables in their places."""
    for variable in board["templating"]["list"]:
        expression = expression.replace(f"${variable['name']}", variable["current"]["value"])
    rate_s = max(step_s + SCRAPE_S, 4 * SCRAPE_S)
    return expression.replace("$__rate_interval", f"{rate_s:.0f}s")


def place_of(panel: dict[str, Any], height_px: float) -> tuple[float, float, float, float]:
    """Return left, bottom, width and height of a panel as parts of the picture."""
    at, width_px = panel["gridPos"], COLUMNS * COLUMN_PX
    left, top = at["x"] * COLUMN_PX, HEAD_PX + at["y"] * ROW_PX
    width, height = at["w"] * COLUMN_PX - GAP_PX, at["h"] * ROW_PX - GAP_PX
    return left / width_px, 1 - (top + height) / height_px, width / width_px, height / height_px


def draw(board: dict[str, Any], server: Prometheus, span: Span) -> tuple[Figure, list[str]]:
    """Return the picture, and the queries whose answers are empty and should not be."""
    panels = board["panels"]
    height_px = HEAD_PX + ROW_PX * max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels)
    figure = Figure(figsize=(COLUMNS * COLUMN_PX / DPI, height_px / DPI), dpi=DPI, facecolor="#f4f5f5")
    started, ended = (f"{_local(one):%Y-%m-%d %H:%M:%S}" for one in span)
    words = f"{board['title']}   {started} to {ended}. Drawn from its queries with Matplotlib, not by Grafana"
    figure.text(0.006, 1 - HEAD_PX / 2 / height_px, words, fontsize=11, va="center")
    empty = []
    for panel in panels:
        axes = figure.add_axes(place_of(panel, height_px))
        lines = list(_lines(panel, board, server, span, empty))
        _frame(axes, panel["title"])
        PANELS[panel["type"]](axes, panel, lines)
    return figure, empty


def _lines(
    panel: dict[str, Any], board: dict[str, Any], server: Prometheus, span: Span, empty: list[str]
) -> Iterator[Series]:
    step_s = span.step_s(panel["gridPos"]["w"] * COLUMN_PX)
    for target in panel["targets"]:
        query = query_of(target["expr"], board, step_s)
        asked = Span(span.end_s, span.end_s) if target.get("instant") else span
        found = server.lines(query, target["legendFormat"], asked, step_s)
        if not found and "noValue" not in panel["fieldConfig"]["defaults"]:
            empty.append(f"{panel['title']}: {query}")
        yield from found


def _frame(axes: Axes, title: str) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", y=1.0, pad=-13, x=0.012)


def main(words: list[str]) -> str | int:
    """Draw; return 0, or what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dashboard", type=Path)
    parser.add_argument("server", help="address of Prometheus")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--minutes", type=float, default=60.0, help="up to now")
    given = parser.parse_args(words)
    now_s = time.time()
    board = json.loads(given.dashboard.read_text())
    try:
        figure, empty = draw(board, Prometheus(given.server), Span(now_s - 60 * given.minutes, now_s))
    except OSError as err:
        return f"{given.server} cannot be asked: {err}. Fix: the address of a running Prometheus, as http://HOST:9090"
    figure.savefig(given.picture)
    return "\n".join(["without an answer:", *empty]) if empty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
