"""Data of report.html for its script: timelines, colors and the video beside it, as values for compact JSON."""

import hashlib
from base64 import b64encode
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from fer_deploy.analyze.events.event_list import LABEL_COLUMNS
from fer_deploy.analyze.events.spans import SPAN_COLUMNS
from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.analyze.report.stacks import colors_of
from fer_deploy.analyze.report.summary import Person, Summary
from fer_deploy.analyze.result_files import ANNOTATED
from fer_deploy.live.file_names import file_and_stream
from fer_deploy.vision.palette import UNSURE_COLOR
from fer_deploy.vision.quality import QualityFlag

if TYPE_CHECKING:
    from fer_deploy.analyze.people.pictures import PersonPicture

_MOST: Final = 255
"""Stands for a share of 1; a byte a share keeps the page small."""
_NEAR: Final = ("../../", "../", "")
"""Where the recording may be, from the report: beside --out, in it, or beside the report."""


def page_data(
    summary: Summary,
    timelines: Mapping[int, Timeline],
    files: Collection[str],
    pictures: "Mapping[int, PersonPicture]",
) -> dict[str, Any]:
    """Return what the page's script needs.

    `people` has an entry for each person with a timeline. `runs` are pairs of the first bin and the number of bins in
    which the person was visible. `shares` has a byte for each of these bins and each label, and then one for
    unreadable; `flags` has two bytes a bin, the lower one first, and its highest bit is unsure. `picture` is the best
    frame as JPEG, at `picture_s` seconds. All three are Base64. `start` and `duration` are where the results begin and
    end, in seconds of the video, and the file `shifted` begins at `start`. `cut` says that the recording may go on.
    `columns` has the names of columns in files of events, and what they mean.

    Args:
        summary: of the video.
        timelines: by track.
        files: names of the files beside the page.
        pictures: by track, for those who have one.
    """
    num_bins = [len(timeline.visible_s) for timeline in timelines.values()]
    return {
        "video": summary.name,
        "key": hashlib.sha256(f"{summary.fingerprint.video} {summary.name}".encode()).hexdigest()[:16],
        "sources": _sources(summary, files),
        "start": summary.start_s,
        "duration": summary.duration_s,
        "cut": summary.fingerprint.settings.get("end") is not None,
        "shifted": ANNOTATED,
        "fps": summary.fps,
        "labels": list(summary.labels),
        "colors": list(colors_of(summary.labels).values()),
        "unsure": UNSURE_COLOR,
        "flags": [flag.value.lower().replace("_", " ") for flag in QualityFlag],
        "bins": max(num_bins, default=1),
        "columns": {**SPAN_COLUMNS, **LABEL_COLUMNS},
        "people": [
            _person(person, timelines[person.track], pictures.get(person.track))
            for person in summary.people
            if person.track in timelines
        ],
    }


def _person(person: Person, timeline: Timeline, picture: "PersonPicture | None") -> dict[str, Any]:
    visible = timeline.visible_s > 0
    shares = np.round(timeline.shares[visible] * _MOST).astype(np.uint8)
    return {
        "number": person.number,
        "name": person.name,
        "runs": _runs(visible),
        "shares": b64encode(shares.tobytes()).decode(),
        "flags": b64encode(timeline.flags[visible].astype("<u2").tobytes()).decode(),
        "picture": None if picture is None else b64encode(picture.picture).decode(),
        "picture_s": None if picture is None else picture.time_s,
    }


def _runs(visible: NDArray[np.bool_]) -> list[list[int]]:
    """Return the first index and the length of each run of True."""
    changes = np.flatnonzero(np.diff(visible.astype(np.int8), prepend=0, append=0))
    return [[start, end - start] for start, end in changes.reshape(-1, 2).tolist()]


def _sources(summary: Summary, files: Collection[str]) -> list[str]:
    """Return relative URLs of the video to show, the first that exists; covered faces are never shown uncovered."""
    if ANNOTATED in files:
        return [ANNOTATED]
    if summary.fingerprint.settings.get("pipeline.anonymize"):
        return []
    name = quote(file_and_stream(Path(summary.video))[0].name)
    return [folder + name for folder in _NEAR]
