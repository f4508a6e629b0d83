"""The exposition, read back by Prometheus's own parsers."""

import re
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from unit.fer_deploy.live.serve.stage import make_snapshot

from fer_deploy.live.serve.health import Health
from fer_deploy.live.serve.metrics import PageCounts, exposition
from fer_deploy.live.stats import SinkSnapshot

WRITTEN = ("fer_live_sink_written_total", ("sink", "mqtt"))
COUNTS = PageCounts({"happy": 12, "unsure": 3}, num_viewers=2, num_encoded=40)


def families(snapshot, *, accept="", parse=parse_text):
    body, _ = exposition(snapshot, Health.OK, COUNTS, accept=accept)
    return {family.name: family for family in parse(body.decode())}


def samples(snapshot, **how):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families(snapshot, **how).values()
        for sample in family.samples
    }


@pytest.mark.parametrize(("accept", "parse"), [("", parse_text), ("application/openmetrics-text", parse_openmetrics)])
def test_every_number_of_the_snapshot_is_there(accept, parse):
    found = samples(make_snapshot(failure="disk full"), accept=accept, parse=parse)
    door = ("source", "door")
    assert found["fer_live_frames_total",] == 991
    assert found["fer_live_faces_total",] == 1500
    assert found["fer_live_fps",] == 29.9
    assert found["fer_live_run_seconds",] == 33.5
    assert found["fer_live_detect_every",] == 2
    assert found["fer_live_source_up", door] == 1
    assert found["fer_live_captured_frames_total", door] == 1000
    assert found["fer_live_dropped_total", door] == 7
    assert found["fer_live_corrupt_total", door] == 2
    assert found["fer_live_missing_total", door] == 9
    assert found["fer_live_run_info", ("detector", "YuNet (a.onnx)"), ("engine", "ONNX Runtime, int8")] == 1
    assert found["fer_live_reconnects_total", door] == 3
    assert found["fer_live_stalls_total", door] == 4
    assert found["fer_live_frozen_total", door] == 5
    assert found["fer_live_size_changes_total", door] == 6
    assert found["fer_live_sink_written_total", ("sink", "jsonl")] == 900
    assert found["fer_live_sink_dropped_total", ("sink", "jsonl")] == 8
    assert found["fer_live_sink_failed", ("sink", "jsonl")] == 1
    assert found["fer_live_sink_failed", ("sink", "serve")] == 0
    assert found["fer_live_latency_seconds", ("quantile", "0.95"), ("stage", "total")] == pytest.approx(0.0095)
    assert found["fer_live_stage_busy_ratio", ("stage", "detect")] == 0.06
    assert found["fer_live_emotions_total", ("emotion", "happy")] == 12
    assert found["fer_live_emotions_total", ("emotion", "unsure")] == 3
    assert found["fer_live_health", ("state", "ok")] == 1
    assert found["fer_live_health", ("state", "failed")] == 0
    assert found["fer_live_viewers",] == 2
    assert found["fer_live_encoded_pictures_total",] == 40


def test_names_follow_the_conventions():
    for name, family in families(make_snapshot()).items():
        assert re.fullmatch(r"fer_live_[a-z_]+", name), name
        assert family.documentation.endswith("."), name
        assert family.type in ("counter", "gauge", "summary"), name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name


def test_two_sources_of_one_name_are_two_series():
    found = samples(make_snapshot(names=("door", "door", "door #1")))
    assert {key[1][1] for key in found if key[0] == "fer_live_source_up"} == {"door", "door #1", "door #1 #2"}


def test_a_source_that_does_not_deliver_is_not_up():
    assert samples(make_snapshot(state="reconnecting"))["fer_live_source_up", ("source", "door")] == 0


def test_names_are_escaped():
    assert ("fer_live_source_up", ("source", 'a"b\\c\nd')) in samples(make_snapshot(names=('a"b\\c\nd',)))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/plain"),
        ("text/html", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
    ],
)
def test_content_type(accept, expected):
    assert exposition(make_snapshot(), Health.OK, COUNTS, accept=accept)[1].startswith(expected)


def test_what_an_output_took_is_never_less_than_before():
    """A counter that falls is one that began anew to Prometheus: messages may be lost after they were taken."""
    sinks = (SinkSnapshot("mqtt", 10, 2, "", num_lost=0), SinkSnapshot("mqtt", 7, 5, "", num_lost=3))
    written = [samples(replace(make_snapshot(), sinks=(sink,)))[WRITTEN] for sink in sinks]
    assert written == [10, 10]


def test_a_file_name_that_is_no_utf_8_is_a_label_all_the_same():
    found = samples(make_snapshot(names=("caf\udce9.mp4", 'a\nb"\\')))
    assert found["fer_live_source_up", ("source", r"caf\udce9.mp4")] == 1
    assert found["fer_live_source_up", ("source", 'a\nb"\\')] == 1


def test_every_source_has_a_label_of_its_own():
    names = ("a", "a #2", "a", "a", "a #2")
    found = [labels for name, *labels in samples(make_snapshot(names=names)) if name == "fer_live_source_up"]
    assert len(set(map(tuple, found))) == len(names)


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=abc",
        "application/openmetrics-text;version=1.x",
        ";;,,",
        "a" * 9000,
        "application/openmetrics-text;version=1.0.0;escaping=nothing",
        "text/plain;version=1.0.0;escaping=",
        "\udcff",
    ],
)
def test_a_malformed_wish_gets_an_answer_too(accept):
    body, _ = exposition(make_snapshot(), Health.OK, COUNTS, accept=accept)
    assert b"fer_live_fps 29.9" in body
