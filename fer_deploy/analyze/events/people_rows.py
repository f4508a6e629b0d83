"""Rows of the people in a summary: merged tracks are one person, passers-by and dropped people are left out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_deploy.analyze.faces_table import face_rows
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.result_files import SUMMARY
from fer_deploy.errors import ConfigError


def load_summary(folder: Path) -> Summary:
    """Return the summary of a folder with finished results.

    Raises:
        ConfigError: there is none, or it is damaged or of another version.
    """
    summary = Summary.load(folder / SUMMARY)
    if summary is None:
        raise ConfigError(
            f"{folder} has no {SUMMARY}, so it holds no finished analysis. Fix: the folder of a video in --out"
        )
    return summary


def rows_of_people(folder: Path, summary: Summary) -> Iterator[tuple[int, Rows]]:
    """Yield the number of a person and some of their rows; those of one person come in the order of the video.

    Raises:
        ConfigError: a table is missing, damaged, of another run, or was changed after the analysis.
    """
    number_of = {track: person.number for person in summary.people for track in person.all_tracks}
    run, digests = summary.fingerprint.run, summary.tables
    for rows in face_rows(folder, summary.labels, until_s=summary.duration_s, run=run, digests=digests):
        people = np.asarray([number_of.get(track, 0) for track in rows.track.tolist()], dtype=np.int64)
        for number in np.unique(people[people > 0]).tolist():
            yield number, rows.where(people == number)
