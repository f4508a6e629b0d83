"""Segments: a row for each person and event, computed from finished results in seconds, without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.exclusions import Exclusion, ranges_of_people
from fer_deploy.analyze.events.measures import Measures, measure_columns
from fer_deploy.analyze.events.people_rows import load_summary, rows_of_people
from fer_deploy.analyze.events.spans import require_inside
from fer_deploy.errors import ConfigError
from fer_deploy.live.fingerprint.run_fingerprint import RUN

_WHO: Final = {"video": str, "person": int, "person_name": str}
PLACE: Final = {**_WHO, "event": int, "label": str, "start_s": float, "end_s": float}
"""Columns that say what a row is about. `event` counts the events of the video from 1."""
_TYPES: Final = {int: pa.int64(), float: pa.float64(), str: pa.string()}


def segments(
    result_folder: str | Path,
    events: Sequence[Event],
    groups: Mapping[str, str] | None = None,
    *,
    excluded: Sequence[Exclusion] = (),
) -> pa.Table:
    """Return what each person showed during each event.

    Everybody with a number has a row for each event, also where they were not visible: then `coverage` is 0 and the
    other measures are null. See docs/results.md for the columns.

    Args:
        result_folder: folder of one video's finished analysis.
        events: of this video, such as from `read_events(path).of_video(video)`.
        groups: columns to add to each row, such as {"group": "control"}.
        excluded: ranges of this video that do not count.

    Returns:
        a table with a row for each person and event, sorted by person, then in the order of `events`. Its metadata has
        the fingerprint of the run.

    Raises:
        ConfigError: the folder has no finished analysis, an event or range starts after the end of the video, a range
            is of an unknown person, or a column of `groups` has the name of a measure.
    """
    folder, groups = Path(result_folder), groups or {}
    summary = load_summary(folder)
    columns = segment_columns(summary.labels, groups)
    if summary.fingerprint.settings.get("end") is None:  # else the video may go on, and events with it
        for event in events:
            what = f"the event {event.label!r}"
            require_inside(what, event.line, event.start_s, end_s=summary.duration_s, video=summary.name)
    ranges, run = ranges_of_people(excluded, summary), {RUN: summary.fingerprint.run}
    name_of = {person.number: person.name for person in summary.people}
    measures = {number: [Measures(event, summary.labels, ranges[number]) for event in events] for number in name_of}
    for number, rows in rows_of_people(folder, summary):
        for event, measured in zip(events, measures[number], strict=True):
            if event.start_s < rows.end_s[-1] and event.end_s > rows.start_s[0]:
                measured.add(rows)
    found: list[dict[str, Any]] = [
        {"video": summary.video, "person": number, "person_name": name_of[number], "event": index, "label": event.label}
        | {"start_s": round(event.start_s, 4), "end_s": round(event.end_s, 4)}
        | dict(groups)
        | measured.row()
        | run
        for number in name_of
        for index, (event, measured) in enumerate(zip(events, measures[number], strict=True), 1)
    ]
    schema = pa.schema(
        [(name, _TYPES[kind]) for name, kind in columns.items()],
        metadata=summary.fingerprint.metadata(),
    )
    return pa.Table.from_pylist(found, schema=schema)


def segment_columns(labels: Sequence[str], groups: Mapping[str, str] | Sequence[str]) -> dict[str, type]:
    """Return the columns of the table and their types.

    Raises:
        ConfigError: a column of the user has the name of one of ours.
    """
    measured = measure_columns(labels)
    shared = next((name for name in groups if name in (*PLACE, *measured, RUN)), None)
    if shared is not None:
        raise ConfigError(
            f"the participants have a column {shared!r}, and so have the segments. Fix: another name for it, such as "
            f"{shared}_of_participant"
        )
    return {**PLACE, **dict.fromkeys(groups, str), **measured, RUN: str}
