"""Intervals: from when to when each person showed the same emotion, for BORIS and ELAN."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from fer_deploy.analyze.events.exclusions import Exclusion, outside, ranges_of_people
from fer_deploy.analyze.events.people_rows import load_summary, rows_of_people
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.live.fingerprint.run_fingerprint import RUN, RUN_KEY
from fer_deploy.live.sinks.tables.base import Row
from fer_deploy.live.sinks.tables.csv_file import csv_text

_TYPE = "emotion"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_SCHEMA_OF = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_DIGITS = 3
"""Both files have milliseconds. What an excluded range leaves of an interval and has none is left out."""


class Interval(NamedTuple):
    """Consecutive frames of one person with the same shown label.

    Attributes:
        person: number of the person.
        label: the shown emotion, "unsure" or "unreadable".
        start_s, end_s: seconds; end is exclusive.
        name: of the person, given by people.csv; else empty.
    """

    person: int
    label: str
    start_s: float
    end_s: float
    name: str = ""

    @property
    def subject(self) -> str:
        """The name, or the word Person with the number."""
        return self.name or f"Person {self.person}"


def intervals(result_folder: str | Path, *, excluded: Sequence[Exclusion] = ()) -> list[Interval]:
    """Return the intervals of all people, by person, then by time. They end where a person is not visible.

    Args:
        result_folder: folder of one video's finished analysis.
        excluded: ranges of this video that are cut out.

    Raises:
        ConfigError: the folder has no finished analysis, or a range does not fit it.
    """
    folder = Path(result_folder)
    summary = load_summary(folder)
    ranges = ranges_of_people(excluded, summary)
    name_of = {person.number: person.name for person in summary.people}
    found: dict[int, list[Interval]] = {}
    last_place: dict[int, int] = {}
    for person, rows in rows_of_people(folder, summary):
        mine = found.setdefault(person, [])
        for is_next, one in _stretches(person, rows, last_place.get(person, -2)):
            is_continued = is_next and mine[-1].label == one.label
            first_s = mine.pop().start_s if is_continued else one.start_s
            mine.append(one._replace(start_s=first_s))
        last_place[person] = int(rows.place[-1])
    return [
        one._replace(name=name_of[person], start_s=start_s, end_s=end_s)
        for person in sorted(found)
        for one in found[person]
        for start_s, end_s in outside(ranges[person], one.start_s, one.end_s)
        if round(end_s, _DIGITS) > round(start_s, _DIGITS)
    ]


def _stretches(person: int, rows: Rows, last_place: int) -> Iterator[tuple[bool, Interval]]:
    """Yield the intervals within some rows, and whether the frame before them had the person, too."""
    labels = rows.shown.tolist()
    follows = np.diff(rows.place, prepend=last_place) == 1
    begins = [
        index for index in range(len(labels)) if not (index and follows[index] and labels[index] == labels[index - 1])
    ]
    for first, after in zip(begins, [*begins[1:], len(labels)], strict=True):
        found = Interval(person, labels[first], float(rows.start_s[first]), float(rows.end_s[after - 1]))
        yield bool(follows[first]), found


def intervals_tsv(found: Sequence[Interval], video: str, run: str) -> str:
    """Return a table with tabs, BORIS's names of columns and `run`; ELAN imports it as tab-delimited text."""
    rows: list[Row] = [["Media file", "Subject", "Behavior", "Start (s)", "Stop (s)", "Duration (s)", RUN]]
    for one in found:
        times = one.start_s, one.end_s, one.end_s - one.start_s
        rows.append([video, one.subject, one.label, *(f"{time:.{_DIGITS}f}" for time in times), run])
    return csv_text(rows, delimiter="\t")


def intervals_eaf(found: Sequence[Interval], video: str, run: str, *, date: str) -> bytes:
    """Return an ELAN document with a tier for each person.

    Args:
        found: the intervals.
        video: its name; ELAN looks for it beside the document and else asks.
        run: short name of the run, a property of the document.
        date: of the document, in ISO format with a time zone.

    Source: the schema EAFv3.0 of the Max Planck Institute for Psycholinguistics.
    """
    about = {"AUTHOR": "", "DATE": date, "FORMAT": "3.0", "VERSION": "3.0", _SCHEMA_OF: _SCHEMA}
    root = ElementTree.Element("ANNOTATION_DOCUMENT", about)
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=video, MIME_TYPE="video/*")
    ElementTree.SubElement(header, "PROPERTY", NAME=RUN_KEY).text = run
    order = ElementTree.SubElement(root, "TIME_ORDER")
    tiers: dict[int, ElementTree.Element] = {}
    for index, one in enumerate(found):
        slots = f"ts{2 * index + 1}", f"ts{2 * index + 2}"
        for slot, time_s in zip(slots, (one.start_s, one.end_s), strict=True):
            ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(round(time_s * 1000)))
        if one.person not in tiers:
            is_used = any(tier.get("TIER_ID") == one.subject for tier in tiers.values())  # somebody is named Person 2
            name = f"{one.subject} ({one.person})" if is_used else one.subject
            attributes = {"LINGUISTIC_TYPE_REF": _TYPE, "TIER_ID": name}
            tiers[one.person] = ElementTree.SubElement(root, "TIER", attributes)
        holder = ElementTree.SubElement(tiers[one.person], "ANNOTATION")
        names = {"ANNOTATION_ID": f"a{index + 1}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
        annotation = ElementTree.SubElement(holder, "ALIGNABLE_ANNOTATION", names)
        ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = one.label
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": _TYPE, "TIME_ALIGNABLE": "true"}
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", kind)
    document: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document
