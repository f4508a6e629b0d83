import fps
import pytest
import soak
from _fps_report import as_markdown, write_chart
from fps import REFERENCE, summarize, variants


def one_round(reference_fps: float, loop_fps: float, alone_fps: float) -> dict[str, dict]:
    base = {"frames": 100, "faces": 300, "cpu_ms_per_frame": 10.0}
    return {
        REFERENCE: base | {"fps": reference_fps, "p50_ms": 30.0, "p95_ms": 40.0, "p99_ms": 50.0},
        "live loop": base | {
            "fps": loop_fps, "p50_ms": 9.0, "p95_ms": 12.0, "p99_ms": 15.0, "dropped": 0,
            "stages": {"detect": {"p50_ms": 3.0, "p95_ms": 4.0, "busy": 0.5},
                       "total": {"p50_ms": 9.0, "p95_ms": 12.0, "busy": 9.9}},
        },
        "analysis alone": base | {"fps": alone_fps},
    }  # fmt: skip


@pytest.fixture
def rows():
    return summarize([one_round(10, 60, 80), one_round(20, 100, 100), one_round(40, 280, 400)], cores=4)


def test_ratios_are_taken_within_a_round(rows):
    by_name = {row["variant"]: row for row in rows}
    assert by_name["live loop"]["speedup"] == 6  # 6, 5, 7
    assert by_name["live loop"]["fps"] == 100
    assert by_name["live loop"]["of_slowest_stage"] == 0.75  # 0.75, 1, 0.7
    assert by_name["live loop"]["of_cores"] == 0.25  # 10 ms of 4 cores, 60, 100 and 280 times a second
    assert by_name[REFERENCE]["speedup"] == 1
    assert by_name["live loop"]["faces"] == 3


def test_report_and_chart(rows, tmp_path):
    env = {"hardware": "a machine", "date": "today", "python": "3", "rounds": "3", "command": "python fps.py"}
    results = [{"clip": "a.gif", "rows": rows}]
    text = as_markdown(results, env)
    assert "| live loop | 6.00x | 100 | 10.0 | 3.00 | 9.0 | 12.0 | 15.0 | 0 | 0.75 | 0.25 |" in text
    assert "| detect | 3.00 | 4.00 | 0.50 |" in text
    assert "| total | 9.00 | 12.00 |  |" in text
    write_chart(results, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_every_loop_that_is_compared_knows_its_frames():
    for name, request in variants(frames=1000, tutorial_frames=100).items():
        assert request["frames"] == (100 if "tutorial" in name else 300 if "camera" in name else 1000)


def test_a_loop_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(fps, "_LOOPS", "/nonexistent/loops.py")
    with pytest.raises(Exception, match="alone failed: "):
        fps.measure({"kind": "alone"})


def test_soak_compares_the_second_tenth_with_the_last():
    meter = soak.Meter()
    meter.samples = [(n, 100.0 if n < 50 else 105.0, 10 + (n == 95), 12) for n in range(0, 101, 5)]
    assert meter.growth(100) == {"rss_mb": 5.0, "fds": 0.0, "threads": 0.0}
