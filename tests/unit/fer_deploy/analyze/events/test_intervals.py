"""Intervals of shown emotions, and the files for BORIS and ELAN read back."""

import csv
import io
from xml.etree import ElementTree

import pytest
from unit.fer_deploy.analyze.events.made_results import make_results

from fer_deploy.analyze.events.intervals import Interval, intervals, intervals_eaf, intervals_tsv

FACES = [
    *((frame, 7, "happy", 0.9) for frame in range(3)),
    (3, 3, "sad", 0.1),
    (3, 7, "unsure", 0.5),
    (5, 7, "unsure", 0.5),
    (6, 7, "happy", 0.9),
    (6, 9, "sad", 0.1),
    (9, 3, "sad", 0.1),
]
EXPECTED = [
    Interval(1, "happy", 0.0, 0.3),
    Interval(1, "unsure", 0.3, 0.4),
    Interval(1, "unsure", 0.5, 0.6),  # frame 4 is without the face
    Interval(1, "happy", 0.6, 0.7),
    Interval(2, "sad", 0.3, 0.4),
    Interval(2, "sad", 0.9, 1.0),
]


@pytest.mark.parametrize("rows_per_group", [1, 2, 3, 100])
def test_intervals(tmp_path, rows_per_group):
    found = intervals(make_results(tmp_path / "clip", FACES, rows_per_group=rows_per_group))
    assert [(one.person, one.label) for one in found] == [(one.person, one.label) for one in EXPECTED]
    for one, expected in zip(found, EXPECTED, strict=True):
        assert (one.start_s, one.end_s) == pytest.approx((expected.start_s, expected.end_s), abs=1e-6)


def test_tabs(tmp_path):
    text = intervals_tsv([*EXPECTED, Interval(3, "=1+1", 2, 2.5)], "a\tb.mp4", "r1")
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert rows[0] == {
        "Media file": "a\\tb.mp4",
        "Subject": "Person 1",
        "Behavior": "happy",
        "Start (s)": "0.000",
        "Stop (s)": "0.300",
        "Duration (s)": "0.300",
        "run": "r1",
    }
    assert [row["Subject"] for row in rows] == [f"Person {number}" for number in (1, 1, 1, 1, 2, 2, 3)]
    assert rows[-1]["Behavior"] == "'=1+1"


def test_elan_reads_it(tmp_path):
    """Read by pympi, a library for ELAN's files."""
    elan = pytest.importorskip("pympi.Elan", reason="pip install pympi-ling")
    path = tmp_path / "intervals.eaf"
    path.write_bytes(
        intervals_eaf([*EXPECTED, Interval(3, "<&ä", 2, 2.5)], "clip & co.mp4", "r1", date="2026-01-01T00:00:00+00:00")
    )
    read = elan.Eaf(str(path))
    assert sorted(read.get_tier_names()) == ["Person 1", "Person 2", "Person 3"]
    happy, *_ = sorted(read.get_annotation_data_for_tier("Person 1"))
    assert happy == (0, 300, "happy")
    assert sorted(read.get_annotation_data_for_tier("Person 2")) == [(300, 400, "sad"), (900, 1000, "sad")]
    assert read.get_annotation_data_for_tier("Person 3") == [(2000, 2500, "<&ä")]
    assert read.media_descriptors[0]["MEDIA_URL"] == "clip & co.mp4"


def test_elans_document_refers_to_what_it_has():
    root = ElementTree.fromstring(intervals_eaf(EXPECTED, "clip.mp4", "r1", date="2026-01-01T00:00:00+00:00"))
    assert [part.tag for part in root] == ["HEADER", "TIME_ORDER", "TIER", "TIER", "LINGUISTIC_TYPE"]
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} == types
    marks = list(root.iter("ALIGNABLE_ANNOTATION"))
    found = [[times[mark.get(f"TIME_SLOT_REF{end}")] / 1000 for end in (1, 2)] for mark in marks]
    assert found == [[one.start_s, one.end_s] for one in EXPECTED]
