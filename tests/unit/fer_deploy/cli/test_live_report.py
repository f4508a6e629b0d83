"""What `fer-deploy live` says at its end."""

import json

import pytest
from click.testing import CliRunner

from fer_deploy.cli import main
from fer_deploy.live.sinks import video

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
        assert "throughput" in result.stderr
        assert [json.loads(line)["frame"] for line in capfd.readouterr().out.splitlines()] == [0, 1]


def test_json_names_only_what_was_written(fake_engine):
    result = run("live", *SYNTHETIC, "--json")
    assert result.exit_code == 0
    assert '"num_frames": 2' in result.stdout
    assert "record" not in result.stdout
