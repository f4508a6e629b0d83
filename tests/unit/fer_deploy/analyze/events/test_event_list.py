"""Events from the user's CSV: seconds and clock times, and errors with their line."""

from pathlib import Path

import pytest

from fer_deploy.analyze.events.event_list import Event, read_events
from fer_deploy.errors import ConfigError
from fer_deploy.files.user_csv import seconds_from_text


def events_of(tmp_path, text, *, encoding="utf-8"):
    path = tmp_path / "events.csv"
    path.write_bytes(text.encode(encoding))
    return read_events(path).events


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("62.5", 62.5),
        ("62,5", 62.5),
        ("1:02.5", 62.5),
        ("01:02,5", 62.5),
        ("1:01:02.500", 3662.5),
        ("75:00", 4500),
        ("1:60", None),
        ("1:61:00", None),
        ("-1", None),
        ("1e3", None),
        ("nan", None),
        ("2 s", None),
        ("1:2:3:4", None),
        ("9" * 400, None),
    ],
)
def test_times(text, seconds):
    assert seconds_from_text(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "start,end,label\n1,2.5,film\n0:03,0:04,rest\n",
        "\ufeffStart;Duration;Label\r\n1;1,5;film\r\n\r\n3;1;rest\r\n",
        "onset\tduration\ttrial_type\n1\t1.5\tfilm\n3\t1\trest\n",
        'Subject,Behavior,Start (s),Stop (s),Duration (s)\nA,film,1,2.5,1.5\nA,"rest",3.0,4.0,1.000\n',
    ],
)
def test_forms(tmp_path, text):
    found = [(event.label, event.start_s, event.end_s) for event in events_of(tmp_path, text)]
    assert found == [("film", 1, 2.5), ("rest", 3, 4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,label\n1,a\n", "events.csv has the columns start, label, expected also end. Fix: a first line such as"),
        ("a,b\n1,2\n", "expected also start, label, end"),
        ("start,end,label\n", "has 1 rows, expected a header and at least one row"),
        ("", "has 0 rows, expected a header"),
        ("start,end,label\n1,2,a\n\n,3,b\n", r"line 4: no start. Fix: seconds \(62.5\) or a clock time"),
        ("start,end,label\n1,soon,a\n", r"line 2: end is 'soon', which is no time. Fix: seconds"),
        ("start,end,label\n1,2,\n", "line 2: no label"),
        ("start,end,label\n1,,a\n", "line 2: neither end nor duration"),
        ("start,end,label\n5,4,a\n", "line 2: the event ends at 4 s, but starts at 5 s. Fix: an end after the start"),
        ("start,end,duration,label\n1,2,3,a\n", "line 2: 2 s minus 1 s is not the duration, 3 s"),
        ("start,end,label\n1,2,a,b\n", "line 2: 4 cells, but the header has 3. Fix: put quotes"),
        ("start,onset,end,label\n1,1,2,a\n", "line 1: two columns mean 'start'"),
        ("start,,end,label\n1,1,2,a\n", "line 1: a column has no name"),
    ],
)
def test_faults(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        events_of(tmp_path, text)


def test_not_utf_8(tmp_path):
    with pytest.raises(ConfigError, match=r"events.csv, line 2: not UTF-8. Fix: save it as UTF-8"):
        events_of(tmp_path, "start,end,label\n1,2,für\n", encoding="latin-1")


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*none.csv: No such file or directory. Fix: check its path"):
        read_events(tmp_path / "none.csv")


def test_events_of_one_video(tmp_path):
    events_of(tmp_path, "start,end,label,video\n1,2,all,\n1,2,mine,C:\\clips\\a.mp4\n1,2,stem,a\n1,2,other,b.mp4\n")
    known = read_events(tmp_path / "events.csv")
    assert [event.label for event in known.of_video(Path("clips/a.mp4"))] == ["all", "mine", "stem"]
    assert [event.label for event in known.of_video(Path("c.mp4"))] == ["all"]
    only = known._replace(events=(Event("x", 1, 2, "b.mp4"),))
    with pytest.raises(ConfigError, match=r"has no event of a.mp4: its column video names other files"):
        only.of_video(Path("a.mp4"))


@pytest.mark.parametrize(
    "text",
    [
        "Tier\tBegin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tEnd Time - hh:mm:ss.ms\tEnd Time - ss.msec\tAnnotation\n"
        "a\t00:00:01.000\t1.000\t00:00:02.500\t2.500\tfilm\n",
        "Begin Time - hh:mm:ss.ms\tDuration - hh:mm:ss.ms\tAnnotation\n00:00:01.000\t00:00:01.500\tfilm\n",
    ],
)
def test_exports_of_elan(tmp_path, text):
    assert [(one.label, one.start_s, one.end_s) for one in events_of(tmp_path, text)] == [("film", 1, 2.5)]


def test_points_last_a_second(tmp_path):
    text = "onset,duration,trial_type\n1,n/a,a\n2,0,b\n"
    assert [(one.start_s, one.end_s) for one in events_of(tmp_path, text)] == [(1, 2), (2, 3)]
    text = "Behavior,Start (s),Stop (s),Duration (s),Media file name\nfrown,8.0,8.0,NA,other.mp4\n"
    (one,) = events_of(tmp_path, text)
    assert (one.start_s, one.end_s, one.video) == (8, 9, "other.mp4")
