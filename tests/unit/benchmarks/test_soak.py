import json
import threading
import time

import numpy as np
import pytest
import soak
from click.testing import CliRunner
from live.soak_report import as_markdown, growth, tenths

from fer_deploy.live.sources.base import Source, SourceHealth
from fer_deploy.vision.types import Frame


def samples():
    """Warm after a tenth, one file more for a moment at the end."""
    return [(n, 90.0 if n < 10 else 100.0 if n < 50 else 105.0, 10 + (n == 95), 12) for n in range(0, 101, 5)]


def test_a_row_for_each_tenth():
    rows = tenths(samples(), 100)
    assert [row["tenth"] for row in rows] == list(range(1, 11))
    assert [row["rss_mb"] for row in rows] == [90.0, *[100.0] * 4, *[105.0] * 5]
    assert (rows[-1]["frames"], rows[-1]["fds"], rows[-1]["fds_max"], rows[-1]["threads_max"]) == (100, 10, 11, 12)


def test_the_second_tenth_is_compared_with_the_last():
    assert growth(tenths(samples(), 100)) == {"rss_mb": 5.0, "fds": 0.0, "threads": 0.0}


def test_few_samples_make_few_rows():
    rows = tenths([(200, 90.0, 10, 12)], 200)
    assert [row["tenth"] for row in rows] == [10]
    assert growth(rows) == {"rss_mb": 0.0, "fds": 0.0, "threads": 0.0}


def test_a_kept_result_is_rendered_again(repo_dir):
    kept = json.loads((repo_dir / "benchmarks/results/amd-epyc-2-cores/2026-11-27-c0d93ed/soak.json").read_text())
    text = as_markdown(kept, kept["environment"])
    assert "| growth of resident memory, from the second tenth to the last | " in text
    assert text.count("\n| ") == 2 + 9 + 10  # two heads


@pytest.mark.slow
def test_a_short_run_with_every_output(tmp_path):
    out = tmp_path / "soak.md"
    options = ["--frames", "200", "--minutes", "2", "--record", "--serve", "--out", str(out)]
    result = CliRunner().invoke(soak.main, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    kept = json.loads(out.with_suffix(".json").read_text())
    assert 0 < kept["snapshot"]["num_frames"] <= 200
    assert [sink["name"] for sink in kept["snapshot"]["sinks"]] == ["jsonl", "slow", "video", "video", "serve"]
    assert not any(sink["failure"] for sink in kept["snapshot"]["sinks"])
    assert f"Detector: {kept['detector']}. Outputs: jsonl, slow" in out.read_text()


class Silent(Source):
    """Gives one frame and then none, until it is stopped."""

    name, is_live = "silent", True

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.health = SourceHealth("running")

    def frames(self):
        yield Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0, time.monotonic_ns())
        self.stopped.wait()

    def stop(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.stop()


@pytest.mark.slow
def test_minutes_end_a_run_whose_loop_stalls(tmp_path, monkeypatch):
    sources = [Silent(), Silent()]
    monkeypatch.setattr(soak, "PacedSource", lambda source, fps: sources[0])
    monkeypatch.setattr(soak, "open_source", lambda url, config: sources[1])
    given_up = threading.Event()
    guard = threading.Timer(60, lambda: (given_up.set(), [source.stop() for source in sources]))
    guard.start()
    result = soak.run(soak.Soak(minutes=0.03), tmp_path)
    guard.cancel()
    assert not given_up.is_set()
    assert result["snapshot"]["num_frames"] <= 2
    assert result["samples"], "taken though no frame comes"


@pytest.mark.slow
def test_minutes_end_a_run_that_has_no_other_end(tmp_path):
    result = soak.run(soak.Soak(minutes=0.01, fps=30), tmp_path)
    assert 0 < result["snapshot"]["seconds"] < 60
