"""Last step of an analysis: join the parts into files, and write summary, timeline and report."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import av
import numpy as np
import pyarrow.parquet as pq

from fer_deploy.analyze.accounting import check_outputs
from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.faces_table import face_rows
from fer_deploy.analyze.joining import check_room, join_annotated, join_csv, num_rows_in_csv
from fer_deploy.analyze.parts import TABLES, VIDEO, Parts
from fer_deploy.analyze.people.pictures import pictures_of_people, take_pictures, write_pictures
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.report.page import MOST_CARDS, index_html, report_html
from fer_deploy.analyze.report.people_seen import Timeline, people_from_rows, timelines_from_rows
from fer_deploy.analyze.report.summary import Outcome, Subject, Summary, rounded_until_s
from fer_deploy.analyze.report.timeline import longest_visible, timeline_png
from fer_deploy.analyze.result_files import (
    ANNOTATED,
    FACES,
    INDEX,
    PAGE,
    PARQUET,
    PEOPLE,
    PICTURE,
    RESULTS,
    SUMMARY,
    is_leftover,
)
from fer_deploy.analyze.whole_file import whole_file, write_whole, writing
from fer_deploy.artifacts import file_sha256
from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.sinks.tables.parquet_file import join_parquet
from fer_deploy.live.sinks.video.joining import num_frames_in

_LOG = logging.getLogger(__name__)
MOST_PICTURES: Final = 12
"""People with a picture in the report: those visible longest."""
_ONE_ROW_A_FACE: Final = (PARQUET, f"{FACES}.csv")


def write_results(parts: Parts, folder: Path, end: Checkpoint, subject: Subject, config: AnalyzeConfig) -> Summary:
    """Write the results of a video whose last segment is finished. The summary is written last and marks completion.

    The parts are only read, so a killed run can start this step again.

    Args:
        parts: of the video.
        folder: for the results.
        end: the last checkpoint.
        subject: the video, its engine and its detector.
        config: settings of the analysis.

    Raises:
        SinkError: too little space, or the folder cannot be written.
        StreamError: the files do not agree with the accounting.
    """
    with writing(folder):
        for path in folder.iterdir():
            if is_leftover(path.name):
                path.unlink()
    kinds = (*TABLES, VIDEO) if config.video else TABLES
    tables_and_video = [path for kind in kinds for path in parts.paths(len(end.starts_s), kind)]
    check_room([path for path in tables_and_video if path.exists()], folder)  # a part without frames has no video
    num_rows = _join(parts, folder, end, with_video=config.video)
    until_s, run = rounded_until_s(end), end.fingerprint.run
    seen = people_from_rows(face_rows(folder, subject.labels, until_s=until_s, run=run))
    tables = {name: file_sha256(folder / name) for name in (f"{FACES}.{kind}" for kind in TABLES)}
    summary = Summary.of(subject, end, seen).model_copy(update={"tables": tables})
    num_faces = {name: num for name, num in num_rows.items() if name in _ONE_ROW_A_FACE}
    num_frames = {name: num for name, num in num_rows.items() if name not in _ONE_ROW_A_FACE}
    check_outputs(
        end.accounting,
        num_faces=num_faces | {"the sum over all people": summary.num_faces_of_people},
        num_frames=num_frames,
    )
    if config.takes_pictures:
        _take_pictures(parts, folder, subject.video, summary, config.pipeline)
    write_report(folder, summary)
    write_whole(folder / SUMMARY, summary.model_dump_json(indent=2).encode())
    return summary


def _take_pictures(parts: Parts, folder: Path, video: Path, summary: Summary, config: PipelineConfig) -> None:
    """Write the pictures of the people visible longest; without them if the recording cannot be read any more."""
    tracks = [person.track for person in longest_visible(summary.people, MOST_PICTURES)]
    if not tracks:
        return
    method, keep_s = config.anonymize, config.people.keep_s
    try:
        pictures = take_pictures(video, folder / PARQUET, tracks, parts.packet_index, method=method, keep_s=keep_s)
    except (StreamError, av.FFmpegError, OSError) as err:
        _LOG.warning("no pictures of people in the report: %s", str(err).partition(" Fix: ")[0])
        return
    write_pictures(folder / PEOPLE, pictures, summary.fingerprint)


def write_index(out: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the page that links to the reports of all videos in a folder, including those of earlier calls.

    Args:
        out: the folder with the videos' folders.
        outcomes: of this call.

    Raises:
        SinkError: the page cannot be written.
    """
    known = {outcome.folder for outcome in outcomes}
    with writing(out):
        earlier = [folder for folder in out.iterdir() if folder not in known]
    summaries = [(folder, _summary_in(folder)) for folder in earlier]
    found = [Outcome(Path(summary.video), folder, summary) for folder, summary in summaries if summary is not None]
    write_whole(out / INDEX, index_html([*outcomes, *found]).encode())


def _summary_in(folder: Path) -> Summary | None:
    try:
        return Summary.load(folder / SUMMARY)
    except ConfigError:  # of another version or another program
        return None


def remove_results(folder: Path) -> None:
    """Remove the files of `write_results`, the summary first."""
    with writing(folder):
        for name in reversed(RESULTS):
            (folder / name).unlink(missing_ok=True)


def _join(parts: Parts, folder: Path, end: Checkpoint, *, with_video: bool) -> dict[str, int]:
    """Join the parts and return the number of rows or frames in each file, counted in the files."""
    num = len(end.starts_s)
    held: dict[str, int] = {}
    for kind in TABLES:
        is_parquet = kind.endswith("parquet")
        path = folder / f"{FACES}.{kind}"
        with whole_file(path) as unfinished:
            if is_parquet:
                join_parquet(parts.paths(num, kind), unfinished, metadata=end.fingerprint.metadata())
            else:
                join_csv(parts.paths(num, kind), unfinished)
        held[path.name] = (_num_rows_in_parquet if is_parquet else num_rows_in_csv)(path)
    return held | (_join_video(parts, folder, end) if with_video else {})


def _join_video(parts: Parts, folder: Path, end: Checkpoint) -> dict[str, int]:
    """Join the parts of the annotated video; its time 0 is its first frame."""
    paths = parts.paths(len(end.starts_s), VIDEO)
    drawn = [(path, start_s) for path, start_s in zip(paths, end.starts_s, strict=True) if start_s is not None]
    begin_s = drawn[0][1] if drawn else 0.0
    with whole_file(folder / ANNOTATED) as unfinished:
        join_annotated([path for path, _ in drawn], [start_s - begin_s for _, start_s in drawn], unfinished)
    return {ANNOTATED: num_frames_in(folder / ANNOTATED)}


def write_report(folder: Path, summary: Summary) -> None:
    """Write timeline and report.

    Args:
        folder: with the tables.
        summary: of the video; it says which tracks are one person.

    Raises:
        SinkError: they cannot be written.
    """
    timelines = _timelines(folder, summary)
    write_whole(folder / PICTURE, timeline_png(summary, timelines))
    _write_page(folder, summary, timelines)


def write_page(folder: Path, summary: Summary) -> None:
    """Write the report alone, such as after other files were written that it links to; see `write_report`."""
    _write_page(folder, summary, _timelines(folder, summary))


def _timelines(folder: Path, summary: Summary) -> dict[int, Timeline]:
    return timelines_from_rows(
        _rows_by_person(folder, summary),
        [person.track for person in longest_visible(summary.people, MOST_CARDS)],
        start_s=summary.start_s,
        end_s=summary.duration_s,
        num_frames=summary.accounting.num_analyzed,
        num_labels=len(summary.labels),
    )


def _rows_by_person(folder: Path, summary: Summary) -> Iterator[Rows]:
    """Yield the rows of the table, with the first track of their person."""
    first = {track: person.track for person in summary.people for track in person.all_tracks}
    for rows in face_rows(folder, summary.labels, until_s=summary.duration_s, run=summary.fingerprint.run):
        yield rows._replace(track=np.asarray([first.get(one, one) for one in rows.track.tolist()], dtype=np.int64))


def _write_page(folder: Path, summary: Summary, timelines: dict[int, Timeline]) -> None:
    files = [name for name in RESULTS if name not in (PAGE, SUMMARY) and (folder / name).exists()]
    pictures = pictures_of_people(folder / PEOPLE, summary.people)
    page = report_html(summary, timelines, [*files, SUMMARY], pictures)
    write_whole(folder / PAGE, page.encode())


def _num_rows_in_parquet(path: Path) -> int:
    """Return the number of rows of a file."""
    with path.open("rb") as file:  # Arrow would read a path with a colon as a URL
        return int(pq.read_metadata(file).num_rows)
