"""Span: a stretch of a video in a row of a user's CSV, by start and end or duration."""

from typing import Final

from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import NOT_THERE, TIMES, Line, UserCsv

SPAN_COLUMNS: Final = {
    **dict.fromkeys(("start", "onset", "start (s)", "begin", "begin time - ss.msec"), "start"),
    **dict.fromkeys(("end", "stop", "stop (s)", "offset", "end time - ss.msec"), "end"),
    **dict.fromkeys(("duration", "duration (s)", "duration - ss.msec"), "duration"),
    **dict.fromkeys(("video", "media file", "media file name"), "video"),
    "begin time - hh:mm:ss.ms": "start clock",
    "end time - hh:mm:ss.ms": "end clock",
    "duration - hh:mm:ss.ms": "duration clock",
    "begin time - msec": "start ms",
    "end time - msec": "end ms",
    "duration - msec": "duration ms",
}
"""Names of columns: ours, of BIDS (onset, duration), of BORIS (Start (s), Stop (s)) and of ELAN (Begin Time - ss.msec).

ELAN may write each time in several forms, so each of these has a name of its own.
"""
POINT_S: Final = 1.0
"""Seconds that an event without a duration stands for: BORIS and BIDS have such points, and no frame lies in them."""
_AGREE_S: Final = 0.01


def require_columns(table: UserCsv, *others: str, example: str) -> None:
    """Check that a table has start, end or duration, and other columns.

    Args:
        table: read with `SPAN_COLUMNS`.
        others: names of columns that it needs, too.
        example: first lines that would do.

    Raises:
        ConfigError: a column is missing.
    """
    known = {name.removesuffix(" clock").removesuffix(" ms") for name in table.columns}
    missing = [name for name in ("start", *others) if name not in known]
    missing += [] if {"end", "duration"} & known else ["end"]
    if missing:
        raise ConfigError(
            f"{table.path} has the columns {', '.join(table.columns)}, expected also {', '.join(missing)}. "
            f"Fix: a first line such as {example}"
        )


def span_of(table: UserCsv, line: Line, what: str, *, has_points: bool = False) -> tuple[float, float]:
    """Return start and end in seconds; the end is exclusive.

    Args:
        table: read with `SPAN_COLUMNS`.
        line: one of its rows.
        what: noun for messages, with its article.
        has_points: whether it may have no duration; then it lasts `POINT_S`.

    Raises:
        ConfigError: a time is missing or none, or the end is not after the start.
    """
    start_s, end_s, duration_s = (_seconds(table, line, name) for name in ("start", "end", "duration"))
    if start_s is None:
        raise table.fault(line.number, "no start", f"{TIMES} in the column start")
    if has_points and (0.0 in (duration_s, None if end_s is None else end_s - start_s) or _is_stated_point(line)):
        return start_s, start_s + POINT_S
    if end_s is None and duration_s is None:
        raise table.fault(line.number, "neither end nor duration", f"{TIMES} in one of the two")
    if end_s is None:
        end_s = start_s + (duration_s or 0.0)
    elif duration_s is not None and abs(end_s - start_s - duration_s) > _AGREE_S:
        problem = f"{end_s:g} s minus {start_s:g} s is not the duration, {duration_s:g} s"
        raise table.fault(line.number, problem, "correct one of the three, or leave end or duration empty")
    if end_s <= start_s:
        problem = f"the {what} ends at {end_s:g} s, but starts at {start_s:g} s"
        raise table.fault(line.number, problem, "an end after the start; it needs a duration")
    return start_s, end_s


def _seconds(table: UserCsv, line: Line, name: str) -> float | None:
    found = table.seconds(line, name)
    if found is None:
        found = table.seconds(line, f"{name} clock")
    thousandths = table.number(line, f"{name} ms") if found is None else None
    return found if thousandths is None else thousandths / 1000


def _is_stated_point(line: Line) -> bool:
    """Return whether end and duration are absent, and one of them says so."""
    cells = [line.cells.get(name, "").lower() for name in ("end", "duration")]
    return all(not cell or cell in NOT_THERE for cell in cells) and any(cells)


def require_inside(what: str, line: int, start_s: float, *, end_s: float, video: str) -> None:
    """Check that a span begins before a video ends.

    Args:
        what: the span in messages.
        line: of the user's file; 0 if it has none.
        start_s: of the span.
        end_s: when the video ends.
        video: its name.

    Raises:
        ConfigError: it begins later.
    """
    if start_s >= end_s:
        where = f" in line {line}" if line else ""
        raise ConfigError(
            f"{what}{where} starts at {start_s:g} s, but {video} ends at {end_s:g} s. Fix: times in seconds or as "
            "1:02.5 from the beginning of the video, then give the same command again: the finished analysis is kept"
        )
