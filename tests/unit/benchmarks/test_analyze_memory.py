import itertools
import json

import analyze
import av
import click
import pytest
from click.testing import CliRunner
from integration.analyze_videos import SIZE, write_squares
from live.analyze_report import as_markdown, phases

ENV = {"hardware": "a machine", "date": "today", "python": "3", "command": "python analyze.py"}


def test_clips_are_strung_together(tmp_path):
    clips = [write_squares(tmp_path / "a.mp4", 5), write_squares(tmp_path / "b.mp4", 4, size=(96, 128))]
    analyze.write_long(clips, 20, tmp_path / "long.mp4")
    with av.open(str(tmp_path / "long.mp4")) as container:
        pictures = list(container.decode(video=0))
    assert len(pictures) == 20
    assert {(picture.width, picture.height) for picture in pictures} == {SIZE}
    assert all(a.time < b.time for a, b in itertools.pairwise(pictures))


@pytest.mark.slow
def test_a_tiny_run(tmp_path):
    video = write_squares(tmp_path / "long.mp4", 30)
    options = ["--detector", "haar", "--no-video", "--segment-frames", "12"]
    result = analyze.measure(video, tmp_path / "out", options, every_s=0.05)
    assert result["summary"]["accounting"]["num_analyzed"] == 30
    seconds = [sample.seconds for sample in result["samples"]]
    assert seconds == sorted(seconds)
    assert all(sample.rss_mb > 0.1 for sample in result["samples"])
    assert "30 frames announced, 30 decoded, 0 skipped, 0 missing" in as_markdown(result | {"clips": ["a.gif"]}, ENV)


@pytest.mark.slow
def test_a_run_that_fails_is_told(tmp_path):
    with pytest.raises(click.ClickException, match=r"(?s)analyze .* failed: .*cannot read the video"):
        analyze.measure(tmp_path / "absent.mp4", tmp_path / "out", ["--detector", "haar"])


def test_phases():
    samples = [(1, 80.0, 0), (2, 90.0, 5), (3, 100.0, 15), (4, 102.0, 16), (5, 101.0, 100), (6, 130.0, None)]
    rows = phases(samples, 100)
    assert [row["phase"] for row in rows] == [
        "start, first segment",
        "tenth 1",
        "tenth 2",
        "tenth 10",
        "joining parts, report",
    ]
    assert (rows[2]["rss_mb"], rows[2]["rss_mb_max"], rows[2]["until_s"]) == (101.0, 102.0, 4)


def test_from_flags_to_the_report(tmp_path, monkeypatch):
    asked = []

    def measure(video, out, options):
        asked.extend(options)
        counts = dict.fromkeys(("num_announced", "num_decoded", "num_analyzed", "num_faces"), 12)
        summary = {"engine": "fake", "detector": "YuNet", "duration_s": 1.0, "fps": 12.0, "picture_size": [128, 96]}
        accounting = counts | {"num_skipped": 0, "num_missing": 0}
        kept = summary | {"accounting": accounting}
        return {"seconds": 1.0, "options": options, "samples": [(1, 90.0, 0)], "summary": kept}

    monkeypatch.setattr(analyze, "measure", measure)
    clip, out = write_squares(tmp_path / "a.mp4", 5), tmp_path / "analyze.md"
    (tmp_path / "yunet.onnx").touch()
    flags = ["--clip", clip, "--yunet", tmp_path / "yunet.onnx", "--frames", 12, "--no-video", "--out", out]
    result = CliRunner().invoke(analyze.main, list(map(str, flags)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert asked[-1] == "--no-video"
    assert "a.mp4, repeated: 12 frames, 128x96" in out.read_text()
    assert json.loads(out.with_suffix(".json").read_text())["clips"] == ["a.mp4"]
