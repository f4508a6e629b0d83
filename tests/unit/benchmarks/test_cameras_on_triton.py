"""cameras_on_triton.py and shared_memory.py without a server: sums, differences, tables."""

import json
import os

import cameras_on_triton
import click
import pytest
import shared_memory
from cameras_on_triton import IN_BOX, KILLED, ON_TRITON, measures_of, run_boxes, since, together
from click.testing import CliRunner
from integration.analyze_videos import write_squares
from live import triton_server
from live.camera_load import longest_gap_s


def box(**changes):
    numbers = {
        "cameras": 2,
        "fps": 5.0,
        "due": 50,
        "dropped": 5,
        "served": [25, 20],
        "fair_share": 0.8,
        "p50_ms": 30.0,
        "p90_ms": 40.0,
        "p99_ms": 60.0,
        "max_ms": 70.0,
        "faces_per_frame": 2.0,
        "of_cores": 0.5,
        "busy": {},
        "k_max": 2,
        "longest_gap_s": 0.4,
        "last_frames": [29, 24],
        "num_frames": 30,
    }
    return numbers | changes


COUNTED = {"faces": 30, "batches": 10, "requests": 20, "queue_s": 0.1, "compute_s": 1.0, "sizes": {1: 2, 4: 7}}


def test_boxes_are_added_and_the_worst_one_gives_the_latency():
    slow = box(p50_ms=90.0, p99_ms=200.0, max_ms=300.0, served=[10, 10], longest_gap_s=2.0, last_frames=[29, 29])
    found = together([box(), slow])
    assert (found["due"], found["dropped"]) == (100, 10)
    assert (found["p50_ms"], found["p99_ms"], found["max_ms"]) == (90.0, 200.0, 300.0)
    assert found["fair_share"] == 0.4
    assert found["longest_gap_s"] == 2.0
    assert found["cameras_at_end"] == 3  # frame 24 of 30 is older than a second


def test_a_box_without_any_result():
    nothing = box(p50_ms=None, p99_ms=None, max_ms=None, served=[0, 0], dropped=50, last_frames=[-1, -1])
    found = together([nothing])
    assert (found["p99_ms"], found["max_ms"], found["cameras_at_end"], found["fair_share"]) == (None, None, 0, 0.0)


def test_cameras_are_spread_over_boxes(monkeypatch):
    asked = []
    monkeypatch.setattr(cameras_on_triton, "run_apart", lambda module, one: (asked.append(one["cameras"]), box())[1])
    run_boxes({"fps": 5.0}, cameras=5, boxes=2)
    run_boxes({"fps": 5.0}, cameras=1, boxes=2)
    assert sorted(asked) == [1, 2, 3]


def test_what_the_server_counted_in_between():
    later = COUNTED | {"faces": 50, "batches": 14, "sizes": {1: 2, 4: 9, 8: 1}}
    found = since(COUNTED, later)
    assert (found["faces"], found["batches"], found["requests"]) == (20, 4, 0)
    assert found["sizes"] == {4: 2, 8: 1}


def test_longest_time_without_a_result():
    assert longest_gap_s([5_000_000_000, 1_000_000_000, 1_500_000_000]) == 3.5
    assert longest_gap_s([7]) == 0


def test_command_asks_a_running_server_and_kills_none(unpublished, tmp_path, monkeypatch):
    (tmp_path / "yunet.onnx").touch()
    engines = []

    def run_apart(module, request):
        engines.append(request["engine"])
        return box(fps=request["fps"])

    monkeypatch.setattr(cameras_on_triton, "run_apart", run_apart)
    monkeypatch.setattr(cameras_on_triton, "server_statistics", lambda address, model: COUNTED)
    clip = write_squares(tmp_path / "a.mp4", 3)
    words = ["--clip", clip, "--yunet", tmp_path / "yunet.onnx", "--server", "box:8001", "--served", "net", "--fps", 5]
    done = CliRunner().invoke(cameras_on_triton.main, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert engines[-1] == "triton://box:8001/net"
    [path] = unpublished.glob("*/*/cameras_on_triton.json")
    assert [row["kind"] for row in json.loads(path.read_text())["results"]] == [IN_BOX, ON_TRITON]
    text = path.with_suffix(".md").read_text()
    assert f"| a.mp4 | 5 | {ON_TRITON} | 100 | 10 (10.0%) | 30 | 60 | 0.4 |  | 2 |" in text
    assert f"| a.mp4 | 5 | {ON_TRITON} | 0 | 0 | 0 | 0.00 | 0 | 0.00 | 0.0 |" in text


def test_half_an_address_is_refused():
    done = CliRunner().invoke(cameras_on_triton.main, ["--server", "box:8001", "--yunet", __file__, "--clip", __file__])
    assert done.exit_code == 2
    assert "--server and --served belong together. Fix: both, or neither" in done.output


def test_a_death_is_in_the_tables():
    row = {"clip": "a", "fps": 5.0, "kind": KILLED, **together([box()]), "away_s": 3.25, "server": COUNTED}
    env = dict.fromkeys(("hardware", "cores", "date", "python", "yunet", "command", "model", "cameras", "boxes"), "")
    lines = cameras_on_triton.as_markdown([row], env).splitlines()
    assert f"| a | 5 | {KILLED} | 50 | 5 (10.0%) | 30 | 60 | 0.4 | 3.2 | 1 |" in lines
    assert f"| a | 5 | {KILLED} | 20 | 30 | 10 | 3.00 | 4 | 2.00 | 5.0 |" in lines
    (measured,) = measures_of([row])
    assert (measured.value, measured.better) == (pytest.approx(0.9), "higher")


def test_both_ways_are_compared_in_pairs(monkeypatch):
    clock = [0.0]

    def call(seconds):
        def ask():
            clock[0] += seconds

        return ask

    monkeypatch.setattr(shared_memory.time, "perf_counter", lambda: clock[0])
    found = shared_memory.compare(call(0.010), call(0.009), pairs=6)
    assert found["ratio"] == pytest.approx(0.9)
    assert found["saved_ms"] == pytest.approx(1.0)
    assert (found["grpc_ms"], found["pairs"]) == (pytest.approx(10.0), 6)
    lines = shared_memory.as_markdown(
        [{"faces": 8, "kilobytes": 18.4, **found}],
        dict.fromkeys(("hardware", "date", "python", "model", "command"), ""),
        [],
    )
    assert "| 8 | 18 | 0.900 (0.900 to 0.900) | +1.00 | 10.00 | 6 |" in lines
    (measured,) = shared_memory.measures_of([{"faces": 8, **found}])
    assert measured.is_ratio


@pytest.mark.parametrize("program", ["echo broken; exit 3", "echo broken; exec sleep 600"])
def test_a_server_that_does_not_start_is_a_line_and_leaves_nothing_behind(program, tmp_path, monkeypatch):
    binary = tmp_path / "wheel/pytriton/tritonserver/bin/tritonserver"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid; {program}\n")
    binary.chmod(0o755)
    monkeypatch.setattr(triton_server, "START_LIMIT_S", 2)
    server = triton_server.TritonServer(tmp_path, tmp_path / "models", tmp_path / "server.log")
    with pytest.raises(click.ClickException, match=r"(?s)tritonserver did not start: .*broken"):
        server.start()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
