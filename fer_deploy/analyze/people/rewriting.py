"""Write summary, timeline and report of a finished analysis again, with named people. No network runs."""

from collections.abc import Iterator
from pathlib import Path

from fer_deploy.analyze.faces_table import face_rows
from fer_deploy.analyze.people.grouping import Grouping
from fer_deploy.analyze.people.people_file import PeopleFile
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.report.people_seen import people_from_rows
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.result_files import FACES, PARQUET, SUMMARY
from fer_deploy.analyze.results import write_report
from fer_deploy.analyze.whole_file import write_whole
from fer_deploy.errors import ConfigError, StreamError


def rewrite_people(video: Path, folder: Path, file: PeopleFile) -> Summary:
    """Write summary.json, timeline.png and report.html again. The tables keep their numbers, so a call can be repeated.

    Args:
        video: whose analysis it is, for messages.
        folder: of its results.
        file: names of people.

    Raises:
        ConfigError: the analysis is not finished, or an entry does not fit it.
        StreamError: the table does not have the faces of the summary.
        SinkError: the files cannot be written.
    """
    summary = Summary.load(folder / SUMMARY)
    if summary is None:
        raise ConfigError(
            f"{folder} has no finished analysis of {video}. Fix: fer-deploy analyze without --people first"
        )
    table = folder / PARQUET
    names = tuple(dict.fromkeys([summary.name, Path(summary.name).stem, folder.name]))
    before = people_from_rows(_rows(folder, summary))
    grouping = Grouping.of(file, names, before)
    num_dropped = sum(person.num_frames for person in before if person.track in grouping.dropped)
    seen = people_from_rows(grouping.applied(_rows(folder, summary)))
    renamed = summary.with_people(seen, grouping.groups, num_faces_dropped=num_dropped)
    inputs = {f"people: {file.path.name}": file.sha256}
    renamed = renamed.model_copy(update={"inputs": inputs, "tables": _kept(summary)})
    if renamed.num_faces_of_people + renamed.num_faces_dropped != renamed.accounting.num_faces:
        raise StreamError(
            f"{table} does not have the {renamed.accounting.num_faces} faces of its analysis. "
            "Fix: --restart without --people"
        )
    write_report(folder, renamed)
    write_whole(folder / SUMMARY, renamed.model_dump_json(indent=2).encode())
    return renamed


def _rows(folder: Path, summary: Summary) -> Iterator[Rows]:
    run, digests = summary.fingerprint.run, summary.tables
    return face_rows(folder, summary.labels, until_s=summary.duration_s, run=run, digests=digests)


def _kept(summary: Summary) -> dict[str, str]:
    """Return the digests of the tables that do not depend on names of people."""
    return {name: digest for name, digest in summary.tables.items() if name.startswith(f"{FACES}.")}
