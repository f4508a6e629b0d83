import json

import outputs
from click.testing import CliRunner
from integration.analyze_videos import write_squares


def test_every_output_is_measured_and_kept(tmp_path):
    clip, out = write_squares(tmp_path / "a.mp4", 5), tmp_path / "outputs.md"
    options = ["--clip", str(clip), "--frames", "7", "--rounds", "1", "--out", str(out)]
    result = CliRunner().invoke(outputs.main, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    kept = json.loads(out.with_suffix(".json").read_text())
    assert list(kept["sizes"]) == ["480x270", "1280x720"]
    for rows in kept["sizes"].values():
        assert [row["output"] for row in rows] == ["overlay", "JSON line", "CSV", *outputs.VIDEOS]
        assert all(row["CPU, ms a frame"] > 0 for row in rows)
        assert all(row["PSNR, dB"] > 25 and row["KiB a frame"] > 0 for row in rows if row["output"] in outputs.VIDEOS)
    assert "| --record (VP9) | " in out.read_text()
    assert outputs.IN_ROUNDS not in out.read_text()


def test_cpu_time_has_the_noise_of_its_rounds_and_a_video_the_size_that_it_has():
    row = {"output": "x264", outputs.CPU: 2.0, outputs.IN_ROUNDS: [1.0, 2.0, 4.0], "KiB a frame": 3.5, "PSNR, dB": 40.0}
    cpu, size, psnr = outputs.measures_of({"480x270": [row]})
    assert (cpu.name, cpu.value, cpu.low, cpu.high) == (f"480x270, x264: {outputs.CPU}", 2.0, 1.0, 4.0)
    assert (size.low, size.high, psnr.low, psnr.better) == (3.5, 3.5, 40.0, "higher")


def test_a_clip_without_a_frame(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    result = CliRunner().invoke(outputs.main, ["--clip", str(tmp_path / "a.mp4")])
    assert result.exit_code == 2
    assert "a.mp4 has no frame. Fix: another --clip" in result.output
