"""Faces of recordings: cut as the live loop cuts them, spread over all of them, and refused in words."""

import cv2
import numpy as np
import pytest

from fer_deploy.errors import ArtifactError
from fer_deploy.export import clip_faces as module
from fer_deploy.export.clip_faces import clip_faces
from fer_deploy.export.verify.portrait import _portrait_path
from fer_deploy.vision.types import Box, Detection


class CornerDetector:
    """Finds a face in the upper left corner of every frame that is not black."""

    def detect(self, frame_bgr, scene_size=None):
        return [Detection(Box(0, 0, 40, 40))] if frame_bgr.max() > 64 else []


@pytest.fixture
def corner(monkeypatch):
    monkeypatch.setattr(module, "build_detectors", lambda config: CornerDetector)


def write_clip(path, levels) -> None:
    """Write a video whose frames have these brightnesses."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for level in levels:
        writer.write(np.full((64, 96, 3), level, dtype=np.uint8))
    writer.release()


@pytest.mark.usefixtures("corner")
class TestRecordings:
    def test_spread_over_all_of_them(self, tmp_path, small_spec):
        write_clip(tmp_path / "a.avi", range(70, 250, 2))
        write_clip(tmp_path / "b.avi", [200] * 20)
        (tmp_path / "LICENSE").write_text("these are not frames")
        found = clip_faces(tmp_path, small_spec.input, 20)
        assert found.labels is None
        assert found.images_nchw.shape == (20, 1, 48, 48)
        brightness = found.images_nchw.mean(axis=(1, 2, 3))
        assert brightness[0] < 80
        assert brightness[9] > 225
        assert np.ptp(brightness[10:]) < 5
        assert found.source.startswith(f"faces of {tmp_path.name} (")

    def test_frames_without_a_face(self, tmp_path, small_spec):
        write_clip(tmp_path / "a.avi", [0] * 10 + [180] * 10)
        assert len(clip_faces(tmp_path / "a.avi", small_spec.input, 10)) == 10

    def test_a_name_that_is_not_utf8(self, tmp_path, small_spec):
        write_clip(tmp_path / "a.avi", [180] * 4)
        path = tmp_path / "\udcff.avi"
        (tmp_path / "a.avi").rename(path)
        assert len(clip_faces(path, small_spec.input, 2)) == 2

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (lambda path: None, "No such file or directory; expected a recording or a picture"),
            (lambda path: path.write_text("no frames in here"), "expected a recording or a picture. Fix: --clip"),
            (lambda path: path.mkdir(), "no recording in "),
            (lambda path: write_clip(path, [0] * 4), "found no face in "),
        ],
    )
    def test_refused(self, tmp_path, small_spec, make, text):
        make(tmp_path / "x.avi")
        with pytest.raises(ArtifactError) as caught:
            clip_faces(tmp_path / "x.avi", small_spec.input, 4)
        assert text in str(caught.value)
        assert "x.avi" in str(caught.value)
        assert "Fix: " in str(caught.value)


def test_a_picture_with_a_real_face(small_spec, monkeypatch):
    monkeypatch.delenv("FER_YUNET", raising=False)
    found = clip_faces(_portrait_path(), small_spec.input, 3)
    assert len(found) == 1
    assert found.images_nchw.std() > 20
