"""Event lists of BORIS (Export events, tabular): a row where a behavior starts, and another one where it stops.

Its aggregated export has both times in one row and is read like any other CSV. Source: boris/export_observation.py in
github.com/olivierfriard/BORIS. Versions before 8 call the column Status in place of Behavior type, and write some lines
about the observation above the header.
"""

import re
from typing import Final

from fer_deploy.files.user_csv import NOT_THERE, Line, RawCsv, UserCsv

BORIS_COLUMNS: Final = {
    **dict.fromkeys(("behavior type", "status"), "state"),
    **{"time": "time", "subject": "subject", "observation id": "observation", "source": "source"},
    "media file path": "video",
}
"""Names of columns in its exports, beside those of spans and labels."""
_HEADER: Final = {"behavior", "time"}
_MODIFIER: Final = re.compile(r"modifiers?( #\d+)?", re.IGNORECASE)
_SEVERAL_FILES: Final = re.compile(r"player #\d+:[^|]*;")


def without_preamble(raw: RawCsv) -> RawCsv:
    """Return the rows from the header of BORIS on; all rows if there is none."""
    heads = (place for place, (_, row) in enumerate(raw.rows) if {cell.lower() for cell in row} >= _HEADER)
    return raw._replace(rows=raw.rows[next(heads, 0) :])


def is_start_stop(table: UserCsv) -> bool:
    """Return whether a table has a row for each start and each stop."""
    return {"time", "state", "label"} <= set(table.columns) and "start" not in table.columns


def require_one_file(table: UserCsv) -> None:
    """Refuse observations of several videos in a row, whose times count from the start of the first one.

    Raises:
        ConfigError: there is such an observation.
    """
    for line in table.lines:
        if _SEVERAL_FILES.search(line.cells.get("source", "")):
            problem = "the observation has several videos, one after another, and BORIS counts its times over all"
            raise table.fault(line.number, problem, "an observation for each video")


def paired(table: UserCsv) -> UserCsv:
    """Return a table with start and end in one row; a point has no end.

    A stop belongs to the open start of the same behavior, subject, modifiers and observation.

    Raises:
        ConfigError: a start without a stop, a stop without a start, or a state that is neither.
    """
    modifiers = [name for name in table.columns if _MODIFIER.fullmatch(name)]
    opened: dict[tuple[str, ...], Line] = {}
    found: list[Line] = []
    for line in table.lines:
        key = tuple(line.cells.get(name, "") for name in ("observation", "video", "subject", "label", *modifiers))
        state, label = line.cells["state"].upper(), line.cells["label"]
        if state == "POINT":
            found.append(_row(line, "NA"))
        elif state == "START" and key not in opened:
            opened[key] = line
        elif state == "STOP" and key in opened:
            found.append(_row(opened.pop(key), line.cells["time"]))
        else:
            problem = {
                "START": f"{label!r} starts again, and has not stopped",
                "STOP": f"{label!r} stops, and has not started",
            }.get(state, f"the state is {line.cells['state'][:40]!r}, expected START, STOP or POINT")
            raise table.fault(line.number, problem, "correct the events in BORIS, or export the aggregated events")
    for line in opened.values():
        raise table.fault(line.number, f"{line.cells['label']!r} starts, and never stops", "a row with its STOP")
    found.sort(key=lambda line: line.number)
    return table._replace(columns=("start", "end", "label", "video"), lines=tuple(found))


def _row(line: Line, end: str) -> Line:
    cells = {"start": line.cells["time"], "end": end, "label": line.cells["label"]}
    return Line(line.number, {**cells, "video": line.cells.get("video", "")})


def video_of(cell: str) -> str:
    """Return the name of a video in a cell; empty for what BORIS writes where it knows none."""
    return "" if cell.lower() in (*NOT_THERE, "not found") else cell
