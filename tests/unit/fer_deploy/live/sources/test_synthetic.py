from collections import Counter
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest

from fer_deploy import Recognizer
from fer_deploy.artifacts import bundled_model
from fer_deploy.detectors import DetectorConfig, build_detectors
from fer_deploy.errors import ConfigError
from fer_deploy.live.sources import require_sources
from fer_deploy.live.sources.drawn import EXPRESSIONS, LOOKS, blend, draw_face
from fer_deploy.live.sources.synthetic import (
    FPS,
    HEIGHT,
    HOLD_FRAMES,
    WIDTH,
    SyntheticSource,
    _background,
    draw_scene,
    drawn_faces,
)
from fer_deploy.spec import Precision

STEP = 30
NUM = 20
"""Twenty frames spread evenly over twenty seconds: all expressions, twice."""


@pytest.fixture(scope="module")
def sampled():
    return list(islice(SyntheticSource().frames(), 0, NUM * STEP, STEP))


def test_frames(sampled):
    assert [frame.index for frame in sampled] == list(range(0, NUM * STEP, STEP))
    assert [frame.time_s for frame in sampled] == pytest.approx([i * STEP / FPS for i in range(NUM)])
    assert {frame.frame_bgr.shape for frame in sampled} == {(HEIGHT, WIDTH, 3)}
    assert {frame.frame_bgr.dtype for frame in sampled} == {np.dtype(np.uint8)}


def test_same_on_every_run(sampled):
    draw_face.cache_clear()
    again = islice(SyntheticSource().frames(), 0, 4 * STEP + 1, STEP)
    for frame, wanted in zip(again, sampled, strict=False):
        np.testing.assert_array_equal(frame.frame_bgr, wanted.frame_bgr)


def test_it_moves(sampled):
    assert all((a.frame_bgr != b.frame_bgr).any() for a, b in pairwise(sampled))


def test_each_expression_in_turn_and_never_two_alike():
    shown = [[face.label for face in drawn_faces(turn * HOLD_FRAMES)] for turn in range(5)]
    assert [left for left, _ in shown] == ["neutral", "happy", "surprise", "angry", "neutral"]
    assert [right for _, right in shown] == ["surprise", "angry", "neutral", "happy", "surprise"]
    settled = [index for index in range(HOLD_FRAMES) if drawn_faces(index)[0].is_settled]
    assert settled == list(range(30, 75))


def test_an_expression_changes_in_steps():
    calm, angry = EXPRESSIONS["neutral"], EXPRESSIONS["angry"]
    assert (blend(calm, angry, 0), blend(calm, angry, 1)) == (calm, angry)
    assert blend(calm, angry, 0.25).knit == pytest.approx(0.25 * angry.knit)
    pictures = [draw_face(LOOKS[0], blend(calm, angry, part)).astype(int) for part in (0, 0.5, 1)]
    apart = [np.abs(a - b).mean() for a, b in (pictures[:2], pictures[1:], pictures[::2])]
    assert max(apart[:2]) < apart[2]


def test_the_pictures_that_are_kept_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        draw_face(LOOKS[0], EXPRESSIONS["happy"])[0, 0] = 1


def test_haar_finds_both_faces_in_every_frame(sampled):
    detector = build_detectors(DetectorConfig(detector="haar"))()
    found = [detector.detect(frame.frame_bgr) for frame in sampled]
    assert [len(faces) for faces in found] == [2] * NUM
    assert all(left.box.x2 <= WIDTH / 2 + 60 and right.box.x1 >= WIDTH / 2 - 60 for left, right in found)


def named(recognizer: Recognizer) -> tuple[Counter[tuple[str, str]], dict[str, float]]:
    """Return how often each drawn expression was named what, and the least probability that it was given."""
    names: Counter[tuple[str, str]] = Counter()
    least = dict.fromkeys(EXPRESSIONS, 1.0)
    for index in range(45, 8 * HOLD_FRAMES, HOLD_FRAMES):
        faces = sorted(recognizer.analyze(draw_scene(_background(), index)), key=lambda face: face.box.x1)
        for face, drawn in zip(faces, drawn_faces(index), strict=True):
            names[drawn.label, face.emotion.label] += 1
            least[drawn.label] = min(least[drawn.label], face.emotion.probs[drawn.label])
    return names, least


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP16])
def test_the_bundled_model_names_them_as_drawn(precision):
    with Recognizer(engine=bundled_model(precision), device="cpu", detector="haar") as recognizer:
        names, least = named(recognizer)
    assert names == {(label, label): 4 for label in EXPRESSIONS}
    assert min(least["neutral"], least["happy"], least["surprise"]) > 0.8
    assert least["angry"] > 0.55


@pytest.mark.shared
def test_with_yunet_too(shared_dir):
    yunet = shared_dir / "models" / "face_detection_yunet_2026may.onnx"
    with Recognizer(device="cpu", detector="yunet", detector_model=yunet) as recognizer:
        names, _ = named(recognizer)
    assert names == {(label, label): 4 for label in EXPRESSIONS}


def test_the_truth_is_written_into_the_picture():
    """In light letters on the dark shirts."""
    picture = draw_scene(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 60)
    for face in drawn_faces(60):
        x, top, foot = round(face.x), round(face.y + 1.5 * face.size), round(face.y + 1.75 * face.size)
        shirt = picture[top:foot, x - 40 : x + 40]
        assert (cv2.cvtColor(shirt, cv2.COLOR_BGR2GRAY) > 200).mean() > 0.03


@pytest.mark.parametrize("sources", [[], "clip.mp4", ["clip.mp4"], None], ids=str)
def test_a_loop_takes_opened_sources(sources):
    with pytest.raises(ConfigError, match=r"expected an opened source or a list of them\. Fix: LivePipeline"):
        require_sources(sources)
    one = SyntheticSource()
    assert require_sources(one) == require_sources((one,)) == [one]
