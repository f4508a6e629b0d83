"""Write the exports of a video, and their digests into its summary. Needs the packages of the extra."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fer_deploy.analyze.events.event_list import EventList
from fer_deploy.analyze.events.exclusions import ExclusionList, notes_on_numbers
from fer_deploy.analyze.events.exports import SEGMENT_TABLES, Exports
from fer_deploy.analyze.events.fitting import of_this_video
from fer_deploy.analyze.events.intervals import intervals, intervals_eaf, intervals_tsv
from fer_deploy.analyze.events.participants import Participants
from fer_deploy.analyze.events.people_rows import load_summary
from fer_deploy.analyze.events.segments import segments
from fer_deploy.analyze.events.wide import wide_rows
from fer_deploy.analyze.report.protocol import FROM_INTERVALS, FROM_SEGMENTS, protocol_text
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.result_files import INTERVALS, PROTOCOL, SEGMENTS, SUMMARY, WIDE
from fer_deploy.analyze.results import write_page
from fer_deploy.analyze.whole_file import whole_file, write_whole
from fer_deploy.artifacts import file_sha256
from fer_deploy.live.sinks.tables.base import Row
from fer_deploy.live.sinks.tables.csv_file import csv_text
from fer_deploy.spec import ModelSpec

_Input = EventList | Participants | ExclusionList
EVENTS_KEY = "fer_events_sha256"
"""Key of the digest of the events' file in the metadata of segments.parquet."""


def write_exports(folder: Path, video: Path, spec: ModelSpec, wanted: Exports, *, is_only: bool = True) -> Summary:
    """Write what is wanted, and return the summary with the digests of all tables.

    Args:
        folder: of the finished results.
        video: the recording, whose events and participants are looked up.
        spec: of the model that the video was analyzed with.
        wanted: the files to write.
        is_only: whether it is the only video of the call. Then one of the events must be in it.

    Raises:
        ConfigError: the results, events or participants do not fit.
        SinkError: a file cannot be written.
    """
    summary = load_summary(folder)
    tables, inputs = dict(summary.tables), dict(summary.inputs)
    events, excluded = () if wanted.events is None else wanted.events.of_video(video), wanted.excluded(video)
    kept, events_left = of_this_video(events, summary, is_only=is_only)
    excluded, ranges_left = of_this_video(excluded, summary, is_only=is_only)
    if is_only and events and not kept:
        kept = events  # `segments` says what is wrong
    notes = [*events_left, *ranges_left, *notes_on_numbers(excluded, summary)]
    notes = notes if wanted.events is not None or wanted.intervals else [*summary.event_notes]
    if wanted.events is not None:
        groups = {} if wanted.participants is None else wanted.participants.of_video(video)
        _write_segments(folder, segments(folder, kept, groups, excluded=excluded), wanted.events, list(groups))
        tables |= {name: file_sha256(folder / name) for name in SEGMENT_TABLES}
        used = {"events": wanted.events, "participants": wanted.participants, FROM_SEGMENTS: wanted.exclusions}
        inputs = _with_inputs(inputs, used)
    if wanted.intervals:
        found, date = intervals(folder, excluded=excluded), datetime.now(UTC).isoformat(timespec="seconds")
        run = summary.fingerprint.run
        inputs = _with_inputs(inputs, {FROM_INTERVALS: wanted.exclusions})
        write_whole(folder / f"{INTERVALS}.tsv", intervals_tsv(found, summary.video, run).encode())
        write_whole(folder / f"{INTERVALS}.eaf", intervals_eaf(found, summary.video, run, date=date))
        tables[f"{INTERVALS}.tsv"] = file_sha256(folder / f"{INTERVALS}.tsv")
    updated = summary.model_copy(update={"tables": tables, "inputs": inputs, "event_notes": tuple(notes)})
    if updated != summary:
        write_whole(folder / SUMMARY, updated.model_dump_json(indent=2).encode())
    if wanted.protocol:
        write_whole(folder / PROTOCOL, protocol_text(updated, spec).encode())
    write_page(folder, updated)  # it links to these files, and has the notes
    return updated


def _with_inputs(inputs: Mapping[str, str], used: Mapping[str, _Input | None]) -> dict[str, str]:
    """Return the digests with those of the files that were used now, in place of those from before."""
    kept = {name: digest for name, digest in inputs.items() if name.partition(": ")[0] not in used}
    return kept | {f"{what}: {known.path.name}": known.sha256 for what, known in used.items() if known is not None}


def _write_segments(folder: Path, table: pa.Table, events: EventList, groups: Sequence[str]) -> None:
    table = table.replace_schema_metadata({**table.schema.metadata, EVENTS_KEY: events.sha256})
    with whole_file(folder / f"{SEGMENTS}.parquet") as unfinished, unfinished.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
    _write_csv(folder / f"{SEGMENTS}.csv", table.column_names, _rows(table))
    columns, rows = wide_rows(table, groups)
    _write_csv(folder / WIDE, list(columns), rows)


def _rows(table: pa.Table) -> list[Row]:
    return [list(row.values()) for row in table.to_pylist()]


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    write_whole(path, csv_text([list(columns), *rows]).encode())
