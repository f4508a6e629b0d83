"""What `fer-deploy live` says at its end."""

import json
import re

import av
import numpy as np
import pytest
from click.testing import CliRunner

from fer_deploy.cli import main
from fer_deploy.live.sinks.video import sink as video

SYNTHETIC = ["--source", "synthetic", "--no-display", "--max-frames", "2"]


def run(*args: object):
    return CliRunner().invoke(main, [str(arg) for arg in args])


class TestReport:
    @pytest.fixture
    def two_sources(self, write_video):
        names = [write_video(name, "mp4v") for name in ("x.mp4", "y.mp4")]
        return ["--source", names[0], "--source", names[1], "--no-display"]

    def test_the_videos_of_several_sources(self, fake_engine, tmp_path, two_sources):
        (tmp_path / "a.mp4").write_text("of an earlier run")
        result = run("live", *two_sources, "--record", tmp_path / "a.mp4", "--csv", tmp_path / "t.csv")
        assert result.exit_code == 0, result.output
        assert [line for line in result.stdout.splitlines() if f": {tmp_path}" in line] == [
            f"video: {tmp_path}/a-0.mp4",
            f"video: {tmp_path}/a-1.mp4",
            f"csv: {tmp_path}/t.csv, {tmp_path}/t.frames.csv",
        ]

    def test_the_same_as_json(self, fake_engine, tmp_path, two_sources):
        report = json.loads(run("live", *two_sources, "--record", tmp_path / "a.mp4", "--json").stdout)
        assert report["record"] == [f"{tmp_path}/a-0.mp4", f"{tmp_path}/a-1.mp4"]
        assert [sink["files"] for sink in report["sinks"]] == [[name] for name in report["record"]]
        assert [sink["num_written"] for sink in report["sinks"]] == [6, 6]

    def test_a_video_that_failed_is_not_named(self, fake_engine, tmp_path, monkeypatch):
        (tmp_path / "a.mp4").write_text("of an earlier run")
        monkeypatch.setattr(video, "num_frames_in", lambda path: 0)
        monkeypatch.setattr(video, "move_index_to_front", lambda part, path: path.touch() or 0)
        result = run("live", *SYNTHETIC, "--record", tmp_path / "a.mp4")
        assert result.exit_code == 8
        assert "is incomplete: 0 of 2 frames" in result.stderr
        assert "video: /" not in result.stdout

    def test_results_on_standard_output_are_alone_there(self, fake_engine, capfd):
        result = run("live", *SYNTHETIC, "--jsonl", "-")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "speed: " in result.stderr
        assert [json.loads(line)["frame"] for line in capfd.readouterr().out.splitlines()] == [0, 1]


def test_a_recording_that_breaks_off_is_told_and_replaces_older_results(fake_engine, tmp_path):
    """What it holds was analyzed: the results are whole, the exit code is 0."""
    video_path = tmp_path / "x.mp4"
    with av.open(video_path, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=10, width=64, height=48)
        for level in range(60):
            picture = np.full((48, 64, 3), level * 4, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode())
    whole = video_path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat"), "else a cut file cannot be opened"
    video_path.write_bytes(whole[: len(whole) * 2 // 3])
    for name in ("a.csv", "a.frames.csv", "a.jsonl"):
        (tmp_path / name).write_text("old")
    result = run(
        "live",
        "--source",
        video_path,
        "--no-display",
        "--detector",
        "haar",
        "--csv",
        tmp_path / "a.csv",
        "--jsonl",
        tmp_path / "a.jsonl",
    )
    assert result.exit_code == 0, result.output
    num = (tmp_path / "a.jsonl").read_text().count("\n")
    assert 0 < num < 57
    assert (tmp_path / "a.frames.csv").read_text().count("\n") == num + 1
    told = re.search(r"x\.mp4 is truncated: (\d+) frames fewer than it announces", result.stdout)
    assert told is not None, result.stdout
    assert 60 - num - int(told[1]) in (0, 1), "the packet in which the file ends is counted as corrupt"


def test_json_names_only_what_was_written(fake_engine):
    result = run("live", *SYNTHETIC, "--json")
    assert result.exit_code == 0
    assert '"num_frames": 2' in result.stdout
    assert "record" not in result.stdout
