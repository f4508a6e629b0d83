"""The file has each event as soon as it ends, in the time of its source, as analyze reads it."""

import threading
from contextlib import suppress
from pathlib import Path

import pytest

from fer_deploy.analyze.events.event_list import read_events
from fer_deploy.errors import SinkError
from fer_deploy.live.events import event_log
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.message import EventMessage, EventRefused
from fer_deploy.live.events.sink import EventSink
from fer_deploy.live.sinks.unfinished import KeptBeside


class Clock:
    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def __call__(self) -> int:
        return self.ns


MADE: list[EventLog] = []


@pytest.fixture(autouse=True)
def close_logs():
    yield
    while MADE:
        with suppress(SinkError):
            MADE.pop().close(is_incomplete=False)


def new_log(path, **settings):
    MADE.append(EventLog(path, **settings))
    return MADE[-1]


def make_log(path, **settings):
    log = new_log(path, **settings)
    log.note_frame(0, 1.0, 0, is_live=False)
    return log


def note(log, label, state, **more):
    return log.note(EventMessage(label, state, **more)).times_s


def at(log, time_s, source=0):
    log.note_frame(source, time_s, 0, is_live=False)
    return log


def test_rows_are_in_the_file_when_events_end(tmp_path):
    path = tmp_path / "new/events.csv"
    log = make_log(path)
    assert note(log, "film", "start") == {0: 1.0}
    assert not path.exists()
    assert note(at(log, 2.0), "smile, wide", "mark") == {0: 2.0}
    assert path.read_text() == 'start,end,label,kind,source,video,run\n2.0,3.0,"smile, wide",mark,0,,\n'
    assert note(at(log, 4.56789), "film", "end") == {0: 4.56789}
    assert path.read_text().splitlines()[2] == "1.0,4.5679,film,event,0,,"
    assert log.close(is_incomplete=False) == (path,)


def test_analyze_reads_them(tmp_path):
    log = make_log(tmp_path / "events.csv")
    note(log, "film", "start")
    note(log, "talk", "start")
    note(at(log, 3.0), "film", "end")
    note(at(log, 3.5), "now", "mark")
    at(log, 7.25).close(is_incomplete=False)
    found = read_events(tmp_path / "events.csv").of_video(Path("any.mp4"))
    assert [(event.label, event.start_s, event.end_s) for event in found] == [
        ("film", 1.0, 3.0),
        ("now", 3.5, 4.5),
        ("talk", 1.0, 7.25),  # open until the last frame
    ]


def test_several_sources_have_their_own_times(tmp_path):
    log = make_log(tmp_path / "events.csv", videos=("room-0.mp4", "room-1.mp4"))
    at(log, 11.0, source=1)
    assert note(log, "film", "start") == {0: 1.0, 1: 11.0}
    at(log, 2.0)
    at(log, 12.5, source=1)
    assert note(log, "film", "end", source=1) == {1: 12.5}
    assert note(log, "film", "end") == {0: 2.0}
    log.close(is_incomplete=False)
    events = read_events(tmp_path / "events.csv")
    for name, times in (("room-0.mp4", (1.0, 2.0)), ("room-1.mp4", (11.0, 12.5))):
        (event,) = events.of_video(Path(name))
        assert (event.start_s, event.end_s) == times


def test_a_live_source_goes_on_between_its_frames(tmp_path):
    clock = Clock()
    log = new_log(tmp_path / "events.csv", now_ns=clock)
    log.note_frame(0, 7.0, clock.ns - 250_000_000, is_live=True)
    assert note(log, "film", "start") == {0: 7.25}
    clock.ns += 1_500_000_000
    assert log.open_events() == {"film": 1.5}
    assert note(log, "film", "end") == {0: 8.75}


def test_the_frame_that_the_user_sees(tmp_path):
    log = at(make_log(tmp_path / "events.csv"), 9.0)
    assert log.note(EventMessage("film", "start"), {0: 3.0}).times_s == {0: 3.0}


@pytest.mark.parametrize(
    ("before", "label", "state", "source", "message"),
    [
        ([], "film", "end", None, "film has not begun. Fix: start it first"),
        (["film"], "film", "start", None, "film began at 1.00 s and has not ended. Fix: end it first"),
        (["film"], "film", "end", None, "film would end with the frame that it began with. Fix: end it later"),
        ([], "film", "start", 1, "there is no source 1. Fix: a source from 0 to 0"),
    ],
)
def test_what_contradicts_earlier_events(tmp_path, before, label, state, source, message):
    log = make_log(tmp_path / "events.csv")
    for one in before:
        note(log, one, "start")
    with pytest.raises(EventRefused, match=message):
        note(log, label, state, source=source)
    assert list(log.open_events()) == before
    assert not (tmp_path / "events.csv").exists()


def test_limits(tmp_path, monkeypatch):
    log = make_log(tmp_path / "events.csv")
    with pytest.raises(EventRefused, match="no frame yet"):
        note(EventLog(tmp_path / "other.csv"), "film", "start")
    for number in range(event_log.MOST_OPEN):
        note(log, str(number), "start")
    with pytest.raises(EventRefused, match="100 events have not ended"):
        note(log, "film", "start")
    monkeypatch.setattr(event_log, "MOST_EVENTS", 2)
    for _ in range(2):
        note(log, "now", "mark")
    with pytest.raises(EventRefused, match=r"the file has 2 events. Fix: a new run with another --events-out"):
        note(log, "now", "mark")


def test_after_the_run(tmp_path):
    log = make_log(tmp_path / "events.csv")
    assert log.close(is_incomplete=False) == ()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(EventRefused, match="the run has ended"):
        note(log, "film", "start")


def test_an_older_file_is_replaced_at_the_end_only(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("mine\n")
    log = make_log(path)
    note(log, "now", "mark")
    assert path.read_text() == "mine\n"
    with pytest.raises(KeptBeside, match="has the events up to the failure"):
        log.close(is_incomplete=True)
    assert path.read_text() == "mine\n"
    log = make_log(path)
    note(log, "now", "mark")
    assert log.close(is_incomplete=False) == (path,)
    assert "now" in path.read_text()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"cannot write .*events.csv: .* Fix: another --events-out"):
        EventLog(tmp_path / "file/events.csv")


def test_a_full_disk_ends_the_sink(tmp_path, monkeypatch, make_result):
    log = make_log(tmp_path / "events.csv")
    sink = EventSink(log, lambda source: False)
    sink.write(make_result(), None)

    def fail(self, lines):
        raise SinkError("the disk is full. Fix: free some space")

    monkeypatch.setattr("fer_deploy.live.events.event_log.LinesFile.append", fail)
    with pytest.raises(SinkError, match="disk is full"):
        note(log, "now", "mark")
    with pytest.raises(SinkError, match="disk is full"):
        sink.write(make_result(1), None)
    monkeypatch.undo()
    sink.close()


def test_from_many_threads(tmp_path):
    log = make_log(tmp_path / "events.csv")
    threads = [threading.Thread(target=lambda: [note(log, "now", "mark") for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close(is_incomplete=False)
    assert len(read_events(tmp_path / "events.csv").events) == 100
