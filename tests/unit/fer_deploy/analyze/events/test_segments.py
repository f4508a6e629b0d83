"""Measures of people during events, and their wide form."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from unit.fer_deploy.analyze.events.made_results import FINGERPRINT, make_results, person

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.intervals import intervals
from fer_deploy.analyze.events.measures import Measures, measure_columns
from fer_deploy.analyze.events.segments import segments
from fer_deploy.analyze.events.wide import wide_rows
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.errors import ConfigError

HAPPY = [0.9, 0.8, 0.3, 0.2, 0.4, 0.7, 0.95, 0.6, 0.5, 0.1]
SHOWN = ["happy", "happy", "sad", "sad", "unsure", "happy", "unreadable", "happy", "unsure", "sad"]
FACES = [(frame, 7, SHOWN[frame], HAPPY[frame]) for frame in range(10)]


@pytest.fixture
def folder(tmp_path):
    passer_by = (4, 9, "sad", 0.0)
    return make_results(tmp_path / "clip", sorted([*FACES, (4, 3, "sad", 0.2), passer_by]))


def rows_of(folder, *events, groups=None):
    return segments(folder, [Event(f"e{n}", *times) for n, times in enumerate(events)], groups).to_pylist()


def test_measures_of_whole_frames(folder):
    first, second = rows_of(folder, (0.2, 0.8))
    place = {"video": "clip.mp4", "person": 1, "event": 1, "label": "e0", "start_s": 0.2, "end_s": 0.8}
    assert {name: first[name] for name in place} == place
    readable = np.array([0.3, 0.2, 0.4, 0.7, 0.6])
    assert first["mean_happy"] == pytest.approx(readable.mean(), abs=1e-4)
    assert first["sd_happy"] == pytest.approx(readable.std(), abs=1e-4)
    assert (first["peak_happy"], first["time_to_peak_s_happy"]) == (0.7, 0.3)  # 0.95 was unreadable
    assert (first["peak_sad"], first["time_to_peak_s_sad"]) == (0.8, 0.1)
    assert (first["visible_s"], first["readable_s"], first["coverage"]) == (0.6, 0.5, 0.8333)
    shares = [first[f"share_{name}"] for name in ("happy", "sad", "unsure", "unreadable")]
    assert shares == pytest.approx([2 / 6, 2 / 6, 1 / 6, 1 / 6], abs=1e-4)
    assert first["num_changes"] == 1  # sad, sad, (unsure), happy, (unreadable), happy
    assert (second["person"], second["visible_s"], second["mean_sad"], second["num_changes"]) == (2, 0.1, 0.8, 0)


def test_an_end_that_is_rounded_up_has_no_part_of_the_next_frame(folder):
    """0.3 + 0.3 is a little less than 0.6, and 0.1 + 0.2 a little more than 0.3, where another frame begins."""
    by_duration, by_end = rows_of(folder, (0.1, 0.1 + 0.2))[0], rows_of(folder, (0.1, 0.3))[0]
    assert 0.1 + 0.2 > 0.3
    assert by_duration == by_end
    assert (by_end["peak_sad"], by_end["num_changes"]) == (0.7, 1)


def test_a_frame_that_rounding_lets_into_an_event_is_no_peak(tmp_path):
    """At 30 frames a second, the third frame begins at 0.0667 s, and BORIS writes 0.067."""
    times = [round(n / 30, 4) for n in range(9)]
    faces = [(n, 7, "happy" if n in (2, 6) else "sad", 0.9 if n in (2, 6) else 0.1) for n in range(9)]
    folder = make_results(tmp_path / "clip", faces, times=times)
    before, after, both = rows_of(folder, (0.0, 0.067), (0.233, 0.3), (0.066, 0.1))[:3]
    assert (times[2], times[7]) == (0.0667, 0.2333)
    for row in (before, after):
        assert (row["peak_happy"], row["num_changes"], row["coverage"]) == (0.1, 0, 1.0)
        assert row["share_happy"] == pytest.approx(0.0003 / row["visible_s"], abs=1e-4), "its time counts"
    assert (both["peak_happy"], both["time_to_peak_s_happy"], both["num_changes"]) == (0.9, 0.0007, 0)
    moment = rows_of(folder, (0.0666, 0.0672))[0]
    assert (moment["peak_happy"], moment["num_changes"]) == (0.9, 0)


def test_row_groups_change_nothing(tmp_path):
    events = [Event("a", 0.0, 1.0), Event("b", 0.15, 0.62)]
    tables = [segments(make_results(tmp_path / str(n), FACES, rows_per_group=n), events) for n in (1, 3, 100)]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert tables[0]["num_changes"][0].as_py() == 3


def test_frames_count_by_their_time(tmp_path):
    """The second frame lasts nine times as long as the first, and the event ends in its middle."""
    folder = make_results(
        tmp_path / "clip", [(0, 7, "happy", 1.0), (1, 7, "sad", 0.0), (2, 7, "sad", 0.0)], times=[0, 0.1, 1.0]
    )
    whole, half = rows_of(folder, (0, 1.0), (0, 0.2))[:2]
    assert (whole["mean_happy"], whole["share_happy"], whole["sd_happy"]) == (0.1, 0.1, 0.3)
    assert (half["mean_happy"], half["visible_s"], half["coverage"]) == (0.5, 0.2, 1)


def test_an_event_between_two_frames_has_the_frame_that_lasts(folder):
    (row, _) = rows_of(folder, (0.52, 0.58))
    assert (row["mean_happy"], row["visible_s"], row["coverage"]) == (0.7, 0.06, 1)
    assert row["time_to_peak_s_happy"] == 0


def test_not_visible_and_never_readable(folder):
    unread, away = rows_of(folder, (0.6, 0.7))
    assert (unread["coverage"], unread["share_unreadable"], unread["mean_happy"]) == (0, 1, None)
    assert unread["num_changes"] is None
    assert (away["coverage"], away["visible_s"], away["share_happy"], away["peak_sad"]) == (0, 0, None, None)


def test_after_the_end_of_a_range_nobody_is_visible(folder):
    """The video may go on, and events with it."""
    for name in ("faces.parquet", "faces.frames.parquet"):  # of the same run as the summary
        pq.write_table(pq.read_table(folder / name).replace_schema_metadata(None), folder / name)
    summary = Summary.load(folder / "summary.json")
    settings = {**summary.fingerprint.settings, "end": 1.0}
    fingerprint = summary.fingerprint.model_copy(update={"settings": settings})
    (folder / "summary.json").write_text(summary.model_copy(update={"fingerprint": fingerprint}).model_dump_json())
    assert [(row["coverage"], row["mean_happy"]) for row in rows_of(folder, (60.0, 61.0))] == [(0, None)] * 2


def test_derived_valence():
    labels = ("neutral", "happy", "sad", "angry", "fear", "disgust", "contempt")
    probs = np.array(
        [[0.1, 0.6, 0.1, 0.05, 0.05, 0.1, 0.0], [0.0, 0.0, 0.1, 0.2, 0.0, 0.0, 0.7], [1.0, 0, 0, 0, 0, 0, 0]]
    )
    starts = np.array([0.0, 1.0, 3.0])
    shown = np.array(["happy", "unsure", "unreadable"], dtype=object)
    ones = np.ones(3, int)
    rows = Rows(np.arange(3), starts, np.array([1.0, 3.0, 4.0]), ones, ones, shown, shown, probs)

    def row_with(labels, probs):
        measures = Measures(Event("e", 0.0, 4.0), labels)
        measures.add(rows._replace(probs=probs))
        assert list(measures.row()) == list(measure_columns(labels))
        return [measures.row()[f"{name}_derived_valence"] for name in ("mean", "sd")]

    expected = np.array([0.5, -0.7, -0.7])  # the second frame lasts twice as long, and the third was unreadable
    assert row_with(labels, probs) == pytest.approx([expected.mean(), expected.std()], abs=1e-4)
    assert row_with(labels[:-1], probs[:, :-1]) == pytest.approx([0.0333, 0.33], abs=1e-4)
    assert row_with(("happy", "sad"), probs[:, 1:3]) == [None, None]


def test_beyond_the_end(folder):
    (row, _) = rows_of(folder, (0.9, 1.9))
    assert (row["visible_s"], row["coverage"]) == (0.1, 0.1)
    message = r"the event 'e0' starts at 60 s, but clip.mp4 ends at 1 s. Fix: times in seconds .* analysis is kept"
    with pytest.raises(ConfigError, match=message):
        rows_of(folder, (60, 70))


def test_columns_of_participants(folder):
    (row, _) = rows_of(folder, (0, 1), groups={"group": "control"})
    assert row["group"] == "control"
    with pytest.raises(ConfigError, match=r"have a column 'coverage', and so have the segments. Fix: another name"):
        rows_of(folder, (0, 1), groups={"coverage": "1"})


def test_the_fingerprint_is_in_the_table(folder):
    metadata = segments(folder, [Event("a", 0, 1)]).schema.metadata
    assert json.loads(metadata[b"fer_fingerprint"]) == FINGERPRINT.model_dump(mode="json")


def test_no_finished_analysis(tmp_path):
    with pytest.raises(ConfigError, match=r"has no summary.json, so it holds no finished analysis"):
        segments(tmp_path, [Event("a", 0, 1)])


def test_a_damaged_table(folder):
    (folder / "faces.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"cannot read .*faces.parquet: .* Fix: analyze again with --restart"):
        segments(folder, [Event("a", 0, 1)])


def test_wide(folder):
    events = [Event("film", 0, 0.5), Event("rest", 0.5, 0.6), Event("film", 0.6, 1), Event("film#2", 0.1, 0.2)]
    table = segments(folder, events, {"group": "x"})
    columns, rows = wide_rows(table, ["group"])
    assert len(rows) == 2
    first = dict(zip(columns, rows[0], strict=True))
    assert list(first)[:5] == ["video", "person", "person_name", "group", "film.visible_s"]
    long = table.to_pylist()
    names = ["film", "rest", "film#2", "film#2#2"]
    assert [first[f"{name}.mean_happy"] for name in names] == [row["mean_happy"] for row in long[:4]]
    assert columns["film.num_changes"] is int


def test_nobody_has_a_number(tmp_path):
    folder = make_results(tmp_path / "clip", [(0, 9, "sad", 0.1)], people=[])
    table = segments(folder, [Event("a", 0, 1)], {"group": "x"})
    assert (table.num_rows, table.column_names[:2]) == (0, ["video", "person"])
    assert wide_rows(table, ["group"])[1] == []


def test_merged_people_are_one(tmp_path):
    """Anna is track 7 until she is lost, then track 8; track 3 was dropped."""
    faces = [(0, 7, "happy", 0.9), (0, 3, "sad", 0.1), (1, 7, "sad", 0.3), (2, 8, "sad", 0.3), (4, 8, "happy", 0.8)]
    people = [person(1, 7, name="Anna", tracks=(7, 8), numbers=(1, 3))]
    folder = make_results(tmp_path / "clip", faces, people=people, rows_per_group=2)
    (row,) = rows_of(folder, (0, 1))
    assert (row["person_name"], row["visible_s"], row["num_changes"]) == ("Anna", 0.4, 2)
    assert row["mean_happy"] == pytest.approx((0.9 + 0.3 + 0.3 + 0.8) / 4, abs=1e-4)
    found = [(one.subject, one.label, one.start_s) for one in intervals(folder)]
    assert found == [("Anna", "happy", 0), ("Anna", "sad", 0.1), ("Anna", "happy", 0.4)]
