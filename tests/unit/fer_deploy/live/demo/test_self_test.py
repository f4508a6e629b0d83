"""The score of the drawn faces, with answers that are made up."""

import time

import numpy as np

from fer_deploy.live.demo.self_test import SelfTest
from fer_deploy.live.sources.synthetic import HOLD_FRAMES, drawn_faces
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.types import Box, Detection, Emotion, FaceResult, Frame, FrameResult, TrackedFace

PIXELS = np.zeros((360, 640, 3), np.uint8)


def result(index, answers, *, is_sure=True):
    """The drawn faces where they are, named by `answers`: drawn label -> shown label, or None for not found."""
    faces = []
    for track, drawn in enumerate(drawn_faces(index), start=1):
        if (label := answers.get(drawn.label, drawn.label)) is None:
            continue
        x, y, half = round(drawn.x), round(drawn.y), round(drawn.size)
        emotion = Emotion(label, 0.9, Probabilities.from_dict({label: 0.9}))
        tracked = TrackedFace(track, Detection(Box(x - half, y - half, x + half, y + half)))
        faces.insert(0, FaceResult(tracked, emotion, emotion, is_sure=is_sure))
    return FrameResult(Frame(PIXELS, index, index / 30, time.monotonic_ns()), tuple(faces))


def test_all_as_drawn():
    judge = SelfTest()
    for index in range(4 * HOLD_FRAMES):
        judge.write(result(index, {}), None)
    assert judge.lines() == [
        "self-test: the model named 4 of 4 drawn expressions as drawn, in 360 of 360 faces "
        "(changing ones are not counted)"
    ]


def test_one_that_is_not_is_told():
    judge = SelfTest()
    for index in range(4 * HOLD_FRAMES):
        judge.write(result(index, {"angry": "sad" if index % 3 else "angry"}), None)
    assert judge.lines() == [
        "self-test: the model named 3 of 4 drawn expressions as drawn, in 300 of 360 faces "
        "(changing ones are not counted)",
        "  angry was named sad in 67% of the faces, angry in 33% of the faces",
    ]


def test_a_face_that_was_not_found_and_an_unsure_one_are_not_right():
    judge = SelfTest()
    judge.write(result(40, {"neutral": None}), None)
    judge.write(result(41, {}, is_sure=False), None)
    assert judge.shown == {"neutral": {"not found": 1, "unsure": 1}, "surprise": {"surprise": 1, "unsure": 1}}


def test_changes_do_not_count():
    judge = SelfTest()
    for index in (*range(75, 105), *range(150, 180)):
        judge.write(result(index, {}), None)
    assert (judge.shown, judge.lines()) == ({}, [])
