"""Events that are noted during a live run are those of a later analysis, and survive a kill."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from integration.analyze_videos import SquareDetector, make_analysis, write_squares

from fer_deploy.analyze.events.event_list import read_events
from fer_deploy.analyze.events.segments import segments
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.live.config import OutputConfig, PipelineConfig
from fer_deploy.live.events.event_log import EventLog
from fer_deploy.live.events.message import EventMessage
from fer_deploy.live.events.sink import EventSink
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import CsvSink, Sink
from fer_deploy.live.sources import open_recording


class Person(Sink):
    """Notes events at the frames that it sees."""

    name = "person"
    needs_pixels = False

    def __init__(self, log: EventLog, script: dict[int, EventMessage]) -> None:
        self._log, self._script = log, script

    def write(self, result, picture):
        if result.frame.index in self._script:
            self._log.note(self._script[result.frame.index], {0: result.frame.time_s})
        return True


def test_analyze_computes_segments_of_them(tmp_path):
    video, engine = write_squares(tmp_path / "video.mp4", 120), FakeEngine()
    log = EventLog(tmp_path / "events.csv")
    log.note_frame(0, 0.0, 0, is_live=False)
    script = {24: EventMessage("film", "start"), 72: EventMessage("film", "end"), 96: EventMessage("now", "mark")}
    sinks = [
        Person(log, script),
        EventSink(log, lambda source: False),
        CsvSink(tmp_path / "live.csv", engine.spec.labels),
    ]
    LivePipeline(open_recording(video), SquareDetector, engine, sinks, config=PipelineConfig(workers=1)).run()
    make_analysis(video, tmp_path, video=False).run()
    events = read_events(tmp_path / "events.csv").of_video(video)
    table = segments(tmp_path / "video", events).to_pylist()
    found = [(row["person"], row["label"], row["start_s"], row["end_s"], row["visible_s"]) for row in table]
    assert found == [(one, *event) for one in (1, 2) for event in (("film", 1.0, 3.0, 2.0), ("now", 4.0, 5.0, 1.0))]
    frames = pq.read_table(tmp_path / "video/faces.frames.parquet").to_pylist()
    assert (tmp_path / "live.csv").read_text().count("\n") == 1 + 2 * len(frames)
    assert frames[24]["time_s"] == 1.0


def test_where_they_are_written():
    def file_of(**settings):
        return OutputConfig.model_validate(settings).events_file

    assert file_of() is None
    assert file_of(csv="a.csv") is None, "nobody asked for events"
    assert file_of(csv="out/a.csv", record="b.mp4", event=["film"]) == Path("out/a.events.csv")
    assert file_of(jsonl="-", record="b.mp4", event=["film"]) == Path("b.events.csv")
    assert file_of(csv="a.csv", events_out="e.csv") == Path("e.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"event": ["film"]}, "events are named, but no file is written. Fix: --events-out events.csv"),
        ({"event": ["a", "a"], "csv": "a.csv"}, "two events have the same label"),
        ({"event": [" "], "csv": "a.csv"}, "the label must be one line of 1 to 100 printable letters"),
        ({"event": [str(n) for n in range(10)], "csv": "a.csv"}, "at most 9 items"),
        ({"events_out": "-"}, "events_out cannot go to standard output"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        OutputConfig.model_validate(settings)


def test_a_killed_run_keeps_what_has_ended(tmp_path):
    """It starts the program, since only that shows that nothing waits in a buffer."""
    command = [sys.executable, "-m", "fer_deploy", "live", "--source", "synthetic", "--no-display", "--serve", "0"]
    with subprocess.Popen([*command, "--events-out", "events.csv"], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        try:
            lines = iter(process.stderr.readline, b"")
            port = next(
                int(found[1]) for line in lines if (found := re.search(rb"page: http://127.0.0.1:(\d+)/", line))
            )
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for label, state in (("now", "mark"), ("film", "start")):
                while True:
                    body = json.dumps({"label": label, "state": state})
                    connection.request("POST", "/events", body, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    text = answer.read().decode()
                    if answer.status == 200 or "no frame yet" not in text:
                        break
                assert answer.status == 200, text
        finally:
            os.kill(process.pid, signal.SIGKILL)
    (event,) = read_events(tmp_path / "events.csv").events
    assert (event.label, round(event.duration_s, 3)) == ("now", 1.0)
