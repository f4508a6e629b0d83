"""ELAN's tab-delimited export without column labels: which of its columns are times, and which is the annotation.

Each row has the tier, the participant (often empty), begin, end and duration, each in one or several formats, and the
annotation. Source: the manual of ELAN, "Export as tab-delimited text".
"""

import re
from collections.abc import Sequence
from typing import Final

from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import Line, RawCsv, UserCsv, seconds_from_text

_FORMATS: Final = (re.compile(r"\d+:\d\d:\d\d[.,]\d+"), re.compile(r"\d+[.,]\d+"))
"""hh:mm:ss.ms and ss.msec. Milliseconds and frames alone are whole numbers, which might be seconds."""
_WHOLE: Final = re.compile(r"\d+|\d+:\d\d:\d\d:\d\d")
_LEAST_CELLS: Final = 3
_AGREE_S: Final = 0.002


def is_without_labels(raw: RawCsv) -> bool:
    """Return whether the rows are such an export: separated by tabs, and the first row has a time in it already."""
    rows = _rows(raw)
    if raw.separator != "\t" or not rows or len(rows[0][1]) < _LEAST_CELLS:
        return False
    return any(known.fullmatch(cell) for known in (*_FORMATS, _WHOLE) for cell in rows[0][1])


def labeled(raw: RawCsv) -> UserCsv:
    """Return the rows with the columns start, end and label.

    Raises:
        ConfigError: it does not follow from the cells which column is which.
    """
    rows = _rows(raw)
    num = min(len(row) for _, row in rows)
    for known in _FORMATS:
        places = [place for place in range(num) if all(known.fullmatch(row[place]) for _, row in rows)]
        if _are_spans(places, rows):
            times = (*_FORMATS, _WHOLE)
            label = next((p for p in range(places[-1] + 1, num) if not _is_all(rows, p, times)), None)
            if label is not None:
                found = (
                    Line(line, {"start": row[places[0]], "end": row[places[1]], "label": row[label]})
                    for line, row in rows
                    if row[label]  # an annotation may be empty
                )
                return UserCsv(raw.path, raw.sha256, ("start", "end", "label"), tuple(found))
    raise ConfigError(
        f"{raw.path} has no line with the names of its columns, and its cells do not say which are begin and end. "
        "Fix: a first line such as start, end, label with tabs between; if it is from ELAN, choose the column labels "
        "and the time format hh:mm:ss.ms when you export"
    )


def _rows(raw: RawCsv) -> list[tuple[int, list[str]]]:
    """Return the rows without those about the media files, which begin with #."""
    return [(line, row) for line, row in raw.rows if not row[0].startswith("#")]


def _is_all(rows: Sequence[tuple[int, list[str]]], place: int, formats: Sequence[re.Pattern[str]]) -> bool:
    return all(any(known.fullmatch(row[place]) for known in formats) for _, row in rows)


def _are_spans(places: Sequence[int], rows: Sequence[tuple[int, list[str]]]) -> bool:
    """Return whether columns are begin and end, or these and the duration."""
    if len(places) not in (2, 3):
        return False
    for _, row in rows:
        begin_s, end_s, *duration_s = (seconds_from_text(row[place]) or 0.0 for place in places)
        if end_s < begin_s or (duration_s and abs(end_s - begin_s - duration_s[0]) > _AGREE_S):
            return False
    return True
