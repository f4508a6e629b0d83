"""Events as BORIS and ELAN export them, and as spreadsheets of other countries write them."""

import pytest

from fer_deploy.analyze.events.event_list import read_events
from fer_deploy.errors import ConfigError

TABULAR = (
    "Observation id\tObservation date\tDescription\tObservation duration\tObservation type\tSource\tTime offset (s)\t"
    "Media duration (s)\tFPS\tSubject\tBehavior\tBehavioral category\tModifier #1\tBehavior type\tTime\t"
    "Media file name\tImage index\tImage file path\tComment\n"
)
"""Header of BORIS 8, Export events."""


def line(
    behavior, state, time, *, subject="", modifier="", video="/home/me/clip.mp4", source="player #1:/home/me/clip.mp4"
):
    about = f"obs1\t2026-01-01 10:00:00\t\t9.5\tMedia file(s)\t{source}\t0\t9.5\t25.000"
    return f"{about}\t{subject}\t{behavior}\t\t{modifier}\t{state}\t{time}\t{video}\t25\tNA\t\n"


def read(tmp_path, text):
    (tmp_path / "events.csv").write_bytes(text.encode())
    return read_events(tmp_path / "events.csv").events


def told(tmp_path, text):
    return [(one.label, one.start_s, one.end_s) for one in read(tmp_path, text)]


class TestBoris:
    def test_starts_and_stops(self, tmp_path):
        rows = [
            line("film", "START", "1.000"),
            line("talk", "START", "1.500", subject="A"),
            line("talk", "START", "1.750", subject="B"),
            line("nod", "POINT", "2.000"),
            line("film", "STOP", "3.000"),
            line("talk", "STOP", "3.250", subject="B"),
            line("talk", "STOP", "4.000", subject="A"),
            line("film", "START", "5.000", modifier="loud"),
            line("film", "STOP", "6.000", modifier="loud"),
        ]
        found = told(tmp_path, TABULAR + "".join(rows))
        assert found == [
            *(("film", 1, 3), ("talk", 1.5, 4), ("talk", 1.75, 3.25)),
            *(("nod", 2, 3), ("film", 5, 6)),
        ]
        assert {one.video for one in read(tmp_path, TABULAR + "".join(rows))} == {"/home/me/clip.mp4"}

    def test_a_live_observation_names_no_video(self, tmp_path):
        rows = line("a", "START", "1", video="NA", source="NA") + line("a", "STOP", "2", video="NA", source="NA")
        (one,) = read(tmp_path, TABULAR + rows)
        assert one.video == ""

    def test_older_versions_have_lines_above_the_header(self, tmp_path):
        text = "Observation id\tobs1\n\nMedia file(s)\nPlayer #1\tclip.mp4\n\n"
        text += "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus\n"
        text += "1.0\tclip.mp4\t9\t25\t\tfilm\t\t\tSTART\n2.5\tclip.mp4\t9\t25\t\tfilm\t\t\tSTOP\n"
        assert told(tmp_path, text) == [("film", 1, 2.5)]

    def test_aggregated_events(self, tmp_path):
        text = (
            "Observation id,Observation type,Source,Time offset (s),Subject,Behavior,Behavioral category,Behavior type,"
            "Start (s),Stop (s),Duration (s),Media file name,Image index start,Comment start\n"
            "o,Media file(s),player #1:clip.mp4,0.0,,film,,STATE,1.0,2.5,1.5,clip.mp4,25,\n"
            "o,Media file(s),player #1:clip.mp4,0.0,,nod,,POINT,4.0,4.0,NA,clip.mp4,100,\n"
        )
        assert told(tmp_path, text) == [("film", 1, 2.5), ("nod", 4, 5)]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (line("a", "START", "1"), "line 2: 'a' starts, and never stops. Fix: a row with its STOP"),
            (line("a", "STOP", "1"), "line 2: 'a' stops, and has not started. Fix: correct the events in BORIS"),
            (line("a", "START", "1") * 2, "line 3: 'a' starts again, and has not stopped"),
            (line("a", "BEGIN", "1"), "line 2: the state is 'BEGIN', expected START, STOP or POINT"),
            (line("a", "START", "soon") + line("a", "STOP", "2"), "line 2: start is 'soon', which is no time"),
            (
                line("a", "POINT", "1", source="player #1:a.mp4;b.mp4"),
                "line 2: the observation has several videos, one after another.* Fix: an observation for each video",
            ),
        ],
    )
    def test_refused(self, tmp_path, rows, message):
        with pytest.raises(ConfigError, match=message):
            read(tmp_path, TABULAR + rows)


class TestElanWithoutLabels:
    @pytest.mark.parametrize(
        "row",
        [
            "tier\t\t00:00:01.000\t00:00:02.500\t00:00:01.500\tfilm",
            "tier\tAnna\t00:00:01.000\t1.000\t00:00:02.500\t2.500\t00:00:01.500\t1.500\tfilm",
            "tier\t1.000\t2.500\tfilm",
            "tier\t00:00:01.000\t1000\t00:00:02.500\t2500\tfilm\tclip.eaf",
        ],
    )
    def test_times_and_annotation(self, tmp_path, row):
        text = f'"#file:///home/me/clip.mp4 -- offset: 0"\n{row}\n'
        assert told(tmp_path, text) == [("film", 1, 2.5)]

    def test_with_labels_in_thousandths(self, tmp_path):
        text = "Tier\tBegin Time - msec\tEnd Time - msec\tAnnotation\na\t1000\t2500\tfilm\n"
        assert told(tmp_path, text) == [("film", 1, 2.5)]

    @pytest.mark.parametrize(
        "row",
        [
            "tier\t1000\t2500\tfilm",
            "tier\t00:00:01.000\tfilm",
            "tier\t00:00:02.000\t00:00:00.500\tfilm",
            "tier\t00:00:01.000\t00:00:02.500\t00:00:09.000\tfilm",
        ],
    )
    def test_refused_where_the_cells_do_not_say_it(self, tmp_path, row):
        with pytest.raises(
            ConfigError, match=r"its cells do not say which are begin and end. Fix: a first line such as"
        ):
            read(tmp_path, f"{row}\n")


class TestSpreadsheets:
    @pytest.mark.parametrize(
        "text",
        [
            "start;end;label\n1,5;2,5;film\n",
            "sep=;\r\nstart;end;label\r\n1,5;2,5;film\r\n",
            '\ufeffstart,end,label\r\n"1,5","2,5",film\r\n',
            'start;end;label;video\n1,5;2,5;"film";\n;;;\n',
        ],
    )
    def test_semicolons_and_decimal_commas(self, tmp_path, text):
        assert told(tmp_path, text) == [("film", 1.5, 2.5)]

    def test_decimal_commas_between_commas(self, tmp_path):
        with pytest.raises(ConfigError, match=r"line 2: 5 cells.* Fix: numbers with decimal commas need semicolons"):
            read(tmp_path, "start,end,label\n1,5,2,5,film\n")

    @pytest.mark.parametrize("time", ["-1", "-0:01.5", "\u22121,5"])
    def test_before_the_video(self, tmp_path, time):
        with pytest.raises(
            ConfigError, match=f"line 2: start is '{time}', before the video begins. Fix: times from the"
        ):
            read(tmp_path, f"start;end;label\n{time};2;film\n")

    @pytest.mark.parametrize("time", ["1.234,5", "--1"])
    def test_no_times(self, tmp_path, time):
        with pytest.raises(ConfigError, match=f"line 2: start is '{time}', which is no time. Fix: seconds"):
            read(tmp_path, f"start;end;label\n{time};2;film\n")
