"""Last step of an analysis: join the parts into files, and write summary, timeline and report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fer_deploy.analyze.accounting import check_outputs
from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.joining import check_room, join_annotated, join_csv, num_rows_in_csv
from fer_deploy.analyze.parts import TABLES, VIDEO, Parts
from fer_deploy.analyze.report.page import MOST_CARDS, index_html, report_html
from fer_deploy.analyze.report.people_seen import people_from_rows, timelines_from_rows
from fer_deploy.analyze.report.summary import Outcome, Subject, Summary
from fer_deploy.analyze.report.timeline import longest_visible, timeline_png
from fer_deploy.analyze.result_files import (
    ANNOTATED,
    FACES,
    INDEX,
    PAGE,
    PARQUET,
    PICTURE,
    RESULTS,
    SUMMARY,
    is_leftover,
)
from fer_deploy.analyze.tables import num_rows_in_parquet, rows_from_parquet
from fer_deploy.analyze.whole_file import whole_file, write_whole, writing
from fer_deploy.errors import ConfigError
from fer_deploy.live.sinks.tables.parquet_file import join_parquet
from fer_deploy.live.sinks.video.joining import num_frames_in

_ONE_ROW_A_FACE: Final = (PARQUET, f"{FACES}.csv")


def write_results(parts: Parts, folder: Path, end: Checkpoint, subject: Subject, *, with_video: bool) -> Summary:
    """Write the results of a video whose last segment is finished. The summary is written last and marks completion.

    The parts are only read, so a killed run can start this step again.

    Args:
        parts: of the video.
        folder: for the results.
        end: the last checkpoint.
        subject: the video, its engine and its detector.
        with_video: whether there is an annotated video.

    Raises:
        SinkError: too little space, or the folder cannot be written.
        StreamError: the files do not agree with the accounting.
    """
    with writing(folder):
        for path in folder.iterdir():
            if is_leftover(path.name):
                path.unlink()
    kinds = (*TABLES, VIDEO) if with_video else TABLES
    check_room([path for kind in kinds for path in parts.paths(len(end.starts_s), kind)], folder)
    num_rows = _join(parts, folder, end, with_video=with_video)
    seen = people_from_rows(rows_from_parquet(folder / PARQUET, subject.labels))
    summary = Summary.of(subject, end, seen)
    num_faces = {name: num for name, num in num_rows.items() if name in _ONE_ROW_A_FACE}
    num_frames = {name: num for name, num in num_rows.items() if name not in _ONE_ROW_A_FACE}
    check_outputs(
        end.accounting,
        num_faces=num_faces | {"the sum over all people": summary.num_faces_of_people},
        num_frames=num_frames,
    )
    _report(folder, summary)
    write_whole(folder / SUMMARY, summary.model_dump_json(indent=2).encode())
    return summary


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
            (join_parquet if is_parquet else join_csv)(parts.paths(num, kind), unfinished)
        held[path.name] = (num_rows_in_parquet if is_parquet else num_rows_in_csv)(path)
    return held | (_join_video(parts, folder, end) if with_video else {})


def _join_video(parts: Parts, folder: Path, end: Checkpoint) -> dict[str, int]:
    with whole_file(folder / ANNOTATED) as unfinished:
        join_annotated(parts.paths(len(end.starts_s), VIDEO), end.starts_s, unfinished)
    return {ANNOTATED: num_frames_in(folder / ANNOTATED)}


def _report(folder: Path, summary: Summary) -> None:
    shown = [person.track for person in longest_visible(summary.people, MOST_CARDS)]
    timelines = timelines_from_rows(
        rows_from_parquet(folder / PARQUET, summary.labels),
        shown,
        end_s=summary.duration_s,
        num_frames=summary.accounting.num_analyzed,
        num_labels=len(summary.labels),
    )
    write_whole(folder / PICTURE, timeline_png(summary, timelines))
    files = [name for name in RESULTS if name not in (PAGE, SUMMARY) and (folder / name).exists()]
    page = report_html(summary, timelines, [*files, SUMMARY])
    write_whole(folder / PAGE, page.encode())
