from itertools import islice, pairwise

import numpy as np
import pytest

from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.live.sources.synthetic import FPS, HEIGHT, WIDTH, SyntheticSource

STEP = 20


@pytest.fixture(scope="module")
def sampled():
    """Twenty frames spread evenly over thirteen seconds, almost two turns of the mood."""
    return list(islice(SyntheticSource().frames(), 0, 20 * STEP, STEP))


def test_frames(sampled):
    assert [frame.index for frame in sampled] == list(range(0, 20 * STEP, STEP))
    assert [frame.time_s for frame in sampled] == pytest.approx([i * STEP / FPS for i in range(20)])
    assert {frame.frame_bgr.shape for frame in sampled} == {(HEIGHT, WIDTH, 3)}
    assert {frame.frame_bgr.dtype for frame in sampled} == {np.dtype(np.uint8)}


def test_same_on_every_run(sampled):
    again = islice(SyntheticSource().frames(), 0, 2 * STEP + 1, STEP)
    for frame, wanted in zip(again, sampled, strict=False):
        np.testing.assert_array_equal(frame.frame_bgr, wanted.frame_bgr)


def test_it_moves(sampled):
    assert all((a.frame_bgr != b.frame_bgr).any() for a, b in pairwise(sampled))


def test_haar_finds_both_faces_in_every_frame(sampled):
    detector = build_detectors(DetectorConfig(detector="haar"))()
    found = [detector.detect(frame.frame_bgr) for frame in sampled]
    assert [len(faces) for faces in found] == [2] * 20
    assert all(left.box.x2 <= WIDTH / 2 + 60 and right.box.x1 >= WIDTH / 2 - 60 for left, right in found)
