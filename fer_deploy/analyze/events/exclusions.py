"""Exclusion: a range of a video that is left out of segments and intervals; read from a CSV of the user."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.analyze.events.event_list import is_name_of
from fer_deploy.analyze.events.spans import SPAN_COLUMNS, require_columns, require_inside, span_of
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import read_csv

Range = tuple[float, float]
"""Start and end in seconds; the end is exclusive."""


class Exclusion(NamedTuple):
    """A range of a video that does not count.

    Attributes:
        start_s: seconds from the beginning of the video.
        end_s: seconds; exclusive.
        person: name or number of the only person whose faces are excluded; empty: all people.
        video: name of the only video that it belongs to; empty: all.
        line: in the user's file; 0 if it has none.
    """

    start_s: float
    end_s: float
    person: str = ""
    video: str = ""
    line: int = 0


class ExclusionList(NamedTuple):
    """Exclusions in the order of their file, the file, and its SHA-256."""

    path: Path
    sha256: str
    exclusions: tuple[Exclusion, ...]

    def of_video(self, video: Path) -> tuple[Exclusion, ...]:
        """Return the exclusions of a video; it may have none."""
        return tuple(one for one in self.exclusions if not one.video or is_name_of(one.video, video))


def read_exclusions(path: Path) -> ExclusionList:
    """Read a CSV with the columns start, end or duration, and optionally person and video.

    Raises:
        ConfigError: it cannot be read, a column is missing, a time is none, or a range has no duration.
    """
    table = read_csv(path, {**SPAN_COLUMNS, "person": "person"}, min_rows=0)
    require_columns(table, example="start,end or start,end,person")
    found = (
        Exclusion(
            *span_of(table, line, "range"), line.cells.get("person", ""), line.cells.get("video", ""), line.number
        )
        for line in table.lines
    )
    return ExclusionList(path, table.sha256, tuple(found))


def ranges_of_people(exclusions: Sequence[Exclusion], summary: Summary) -> dict[int, tuple[Range, ...]]:
    """Return the excluded ranges of each person of a video by number: in order, without overlap.

    Raises:
        ConfigError: an exclusion is of a person whom the video does not have, or starts after its end.
    """
    ranges: dict[int, list[Range]] = {person.number: [] for person in summary.people}
    for one in exclusions:
        require_inside("the excluded range", one.line, one.start_s, end_s=summary.duration_s, video=summary.name)
        for number in _numbers(one, summary):
            ranges[number].append((one.start_s, one.end_s))
    return {number: _merged(found) for number, found in ranges.items()}


def numbers_of(exclusion: Exclusion, summary: Summary) -> list[int]:
    """Return the numbers of the people whose faces are excluded."""
    who, people = exclusion.person, summary.people
    found = [person.number for person in people if not who or person.name == who]
    return found or [person.number for person in people if str(person.number) == who]


def notes_on_numbers(exclusions: Sequence[Exclusion], summary: Summary) -> list[str]:
    """Return a note on each exclusion by a number that means another person in tables and video.

    People who were named, merged or dropped have new numbers in the report, and exclusions are by these.
    """
    names = {person.name for person in summary.people}
    by_number = {str(person.number): person for person in summary.people if person.tracks}
    found = []
    for one in exclusions:
        person = None if one.person in names else by_number.get(one.person)
        if person is not None and person.number not in person.numbers:
            where = f" in line {one.line}" if one.line else ""
            theirs = " and ".join(map(str, person.numbers)) or "without a number"
            found.append(
                f"the excluded range{where} is of person {person.number} of the report, who is {theirs} in tables and "
                "video. If it is of another person, give their number in the report, or their name"
            )
    return found


def _numbers(exclusion: Exclusion, summary: Summary) -> list[int]:
    who, found = exclusion.person, numbers_of(exclusion, summary)
    if not found and who:
        where = f" in line {exclusion.line}" if exclusion.line else ""
        raise ConfigError(
            f"an excluded range{where} is of the person {who[:40]!r}, whom {summary.name} does not have. "
            "Fix: a name or number of report.html, or leave the cell empty for all people"
        )
    return found


def _merged(ranges: Sequence[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for start_s, end_s in sorted(ranges):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end_s)
        else:
            merged.append((start_s, end_s))
    return tuple(merged)


def within(ranges: Sequence[Range], start_s: float, end_s: float) -> tuple[Range, ...]:
    """Return the parts of ranges between two times."""
    parts = ((max(first_s, start_s), min(last_s, end_s)) for first_s, last_s in ranges)
    return tuple((first_s, last_s) for first_s, last_s in parts if last_s > first_s)


def outside(ranges: Sequence[Range], start_s: float, end_s: float) -> tuple[Range, ...]:
    """Return the parts between two times that are in none of the ranges, which are in order and without overlap."""
    inner = within(ranges, start_s, end_s)
    starts = [start_s, *(last_s for _, last_s in inner)]
    ends = [*(first_s for first_s, _ in inner), end_s]
    return tuple((first_s, last_s) for first_s, last_s in zip(starts, ends, strict=True) if last_s > first_s)


def overlap_s(
    starts_s: NDArray[np.float64], ends_s: NDArray[np.float64], start_s: float, end_s: float
) -> NDArray[np.float64]:
    """Return the seconds that each of N spans has in common with another one, (N,)."""
    seconds: NDArray[np.float64] = np.minimum(ends_s, end_s) - np.maximum(starts_s, start_s)
    return seconds.clip(min=0.0)
