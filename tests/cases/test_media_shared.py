"""The table "media" of the real cases beside the checkout: two people in every frame, as ffmpeg shows them."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cases.media_files import needs_ffmpeg
from click.testing import CliRunner

from fer_deploy.cli import main
from fer_deploy.detectors import build_detectors
from fer_deploy.detectors.config import DetectorConfig

pytestmark = [pytest.mark.shared, needs_ffmpeg]
ROWS = {  # frames, seconds to the last frame, size
    "twelve.mp4": (12, 11 / 12, (480, 270)),
    "mirrored.mp4": (12, 11 / 12, (480, 270)),
    "transposed.mp4": (12, 11 / 12, (480, 270)),
    "two-streams.mkv": (12, 11 / 12, (480, 270)),
    "cover-first.mp4": (12, 11 / 12, (480, 270)),
    "b-frames.avi": (20, 19 / 12, (480, 270)),
    "joined.ts": (53, 52 / 12, (480, 270)),
    "edit-list.mp4": (20, 19 / 12, (480, 270)),
    "dropped.avi": (36, 55 / 12, (480, 270)),
    "wide-pixels.mp4": (12, 11 / 12, (480, 270)),
    "hdr.mp4": (12, 11 / 12, (480, 270)),
    "shrinks.h264": (40, 39 / 12, (1280, 720)),
    "2026-11-28T12:30:05.mp4": (12, 11 / 12, (480, 270)),
}
SHARE_FOUND = 0.95
"""Of the faces that are found in ffmpeg's pictures: how they are scaled and their colors converted differs a little."""
TONE_MAPPED = "zscale=t=bt709:m=bt709:p=bt709:npl=203,format=yuv420p,"
"""A film for bright screens as the one that it was made of; as it is stored, a tenth of the faces are missed."""


@pytest.fixture(scope="module")
def cases(shared_dir, tmp_path_factory) -> Path:
    """The folder that the Makefile of the cases writes."""
    out = tmp_path_factory.mktemp("media")
    makefile = shared_dir / "cases/media"
    if not makefile.is_dir() or shutil.which("make") is None:
        pytest.skip("no cases beside the checkout, or no make")
    made = subprocess.run(["make", "-C", str(makefile), f"OUT={out}"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this ffmpeg cannot write the cases: {made.stderr.strip().splitlines()[-1]}")
    return out


@pytest.fixture(scope="module")
def faces_shown(cases, shared_dir) -> dict[str, int]:
    """How many faces are found in each film as ffmpeg shows it: encoders write other films on other machines."""
    yunet = shared_dir / "models/face_detection_yunet_2026may.onnx"
    detector = build_detectors(DetectorConfig(detector="yunet", detector_model=yunet))()
    found = {}
    for name, (num_frames, _, (width, height)) in ROWS.items():
        filters = f"{TONE_MAPPED if name == 'hdr.mp4' else ''}scale={width}:{height}"
        command = ["ffmpeg", "-v", "error", "-i", f"file:{name}", "-fps_mode", "passthrough", "-vf", filters]
        command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
        shown = subprocess.run(command, cwd=cases, capture_output=True, check=True).stdout
        pictures = np.frombuffer(shown, np.uint8).reshape(num_frames, height, width, 3)
        found[name] = sum(len(detector.detect(picture)) for picture in pictures)
        assert found[name] > num_frames, "two people, whose heads turn away in the second half of the clip"
    return found


@pytest.fixture(scope="module")
def results(cases, shared_dir, tmp_path_factory) -> dict[str, tuple[dict, list[dict]]]:
    """The report and the lines of `fer-deploy live` about every case, by its name."""
    found = {}
    yunet = shared_dir / "models/face_detection_yunet_2026may.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cases)
        for name in ROWS:
            lines = tmp_path_factory.mktemp("lines") / "a.jsonl"
            result = CliRunner().invoke(
                main,
                [
                    "live",
                    "--no-display",
                    "--detector",
                    "yunet",
                    "--detector-model",
                    str(yunet),
                    "--json",
                    "--source",
                    name,
                    "--jsonl",
                    str(lines),
                ],
            )
            assert result.exit_code == 0, (name, result.output)
            found[name] = (json.loads(result.stdout), [json.loads(line) for line in lines.read_text().splitlines()])
    return found


@pytest.mark.parametrize("name", ROWS)
def test_live(results, faces_shown, name):
    num_frames, last_s, _ = ROWS[name]
    report, lines = results[name]
    assert report["num_frames"] == len(lines) == num_frames
    assert SHARE_FOUND * faces_shown[name] <= report["num_faces"] <= 2 * num_frames
    times = [line["time_s"] for line in lines]
    assert times == sorted(set(times)), "every frame has a time of its own"
    assert times[-1] == pytest.approx(last_s, abs=0.01)
    (source,) = report["sources"]
    assert (source["num_missing"], source["last_error"]) == (0, "")


@pytest.mark.parametrize("name", ["mirrored.mp4", "transposed.mp4", "two-streams.mkv", "wide-pixels.mp4"])
def test_boxes_are_where_they_are_in_the_plain_film(results, name):
    num_near = num = 0
    for line, plain in zip(results[name][1], results["twelve.mp4"][1], strict=True):
        boxes = [face["box_xyxy"] for face in line["faces"]]
        for face in plain["faces"]:
            distances = [max(abs(a - b) for a, b in zip(box, face["box_xyxy"], strict=True)) for box in boxes]
            num, num_near = num + 1, num_near + (min(distances, default=999) <= 12)
    assert num_near >= num - 1, "one of all of them may be found in one film and not in the other"


def test_analyze(cases, faces_shown, shared_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(cases)
    yunet = shared_dir / "models/face_detection_yunet_2026may.onnx"
    result = CliRunner().invoke(
        main,
        [
            "analyze",
            "--no-video",
            "--detector",
            "yunet",
            "--detector-model",
            str(yunet),
            "--out",
            str(tmp_path / "o:1"),
            *ROWS,
        ],
    )
    assert result.exit_code == 0, result.output
    for name, (num_frames, last_s, size) in ROWS.items():
        summary = json.loads((tmp_path / "o:1" / Path(name).stem / "summary.json").read_text())
        assert (summary["accounting"]["num_analyzed"], summary["trouble"]) == (num_frames, ""), name
        assert tuple(summary["picture_size"]) == size, name
        assert summary["accounting"]["num_faces"] >= SHARE_FOUND * faces_shown[name], name
        assert summary["duration_s"] == pytest.approx(last_s * num_frames / (num_frames - 1), abs=0.05), name
