import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality, QualityFlag
from fer_deploy.vision.tracking.smoothing import Smoothing
from fer_deploy.vision.types import UNREADABLE, UNSURE, Box, Detection, Emotion, FaceResult, TrackedFace

LABELS = ("sad", "happy", "neutral")


def face(track_id: int = 1) -> TrackedFace:
    return TrackedFace(track_id, Detection(Box(0, 0, 40, 50)))


def emotion(sad: float, happy: float) -> Emotion:
    probs = {"sad": sad, "happy": happy, "neutral": 1 - sad - happy}
    label = max(probs, key=probs.__getitem__)
    return Emotion(label, probs[label], Probabilities.from_dict(probs))


SAD, HAPPY = emotion(0.7, 0.2), emotion(0.2, 0.7)


def smoothing(*, smoothing_s=0.5, hysteresis=0.1, unsure_below=0.4, sure_lead=0.1, keep_s=2.0, **more) -> Smoothing:
    return Smoothing(
        LABELS,
        smoothing_s=smoothing_s,
        hysteresis=hysteresis,
        unsure_below=unsure_below,
        sure_lead=sure_lead,
        keep_s=keep_s,
        **more,
    )


def show(smoothed: Smoothing, shown: Emotion, time_s: float, track_id: int = 1) -> FaceResult:
    (result,) = smoothed.smooth([face(track_id)], [shown], time_s)
    return result


def after_a_turn(fps: float, seconds: float) -> FaceResult:
    """Five seconds sad, then happy for a while."""
    smoothed = smoothing()
    for index in range(round(5 * fps)):
        show(smoothed, SAD, index / fps)
    for index in range(round(5 * fps), round((5 + seconds) * fps) + 1):
        result = show(smoothed, HAPPY, index / fps)
    return result


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_frame_rates_agree(seconds):
    slow, fast = after_a_turn(10, seconds), after_a_turn(60, seconds)
    assert slow.smoothed.label == fast.smoothed.label == "happy"
    assert slow.smoothed.probs == pytest.approx(fast.smoothed.probs, abs=0.04)


def test_what_is_one_time_constant_old_weighs_1_over_e():
    smoothed = smoothing(smoothing_s=0.5)
    show(smoothed, SAD, 0.0)
    result = show(smoothed, HAPPY, 0.5)
    old = math.exp(-1)
    assert result.smoothed.probs["happy"] == pytest.approx((0.7 + 0.2 * old) / (1 + old))
    assert result.smoothed.probs.sum() == pytest.approx(1)


def test_a_gap_weighs_by_its_length_not_by_its_frames():
    with_frames, without = smoothing(keep_s=10), smoothing(keep_s=10)
    for smoothed in (with_frames, without):
        show(smoothed, SAD, 0.0)
    for index in range(1, 20):
        with_frames.smooth([], [], index / 10)
    assert show(with_frames, HAPPY, 2.0).smoothed.probs == pytest.approx(show(without, HAPPY, 2.0).smoothed.probs)


def test_first_frames_count_alike():
    smoothed = smoothing(smoothing_s=60)
    answers = [emotion(happy, 0.9 - happy) for happy in (0.1, 0.9, 0.2)]
    for index, answer in enumerate(answers):
        result = show(smoothed, answer, index / 1000)
    assert result.smoothed.probs["sad"] == pytest.approx(0.4, abs=1e-4)


def test_raw_and_smoothed_stand_side_by_side():
    smoothed = smoothing()
    show(smoothed, SAD, 0.0)
    result = show(smoothed, HAPPY, 0.04)
    assert result.emotion is HAPPY
    assert result.smoothed.label == "sad"
    assert result.smoothed.confidence == result.smoothed.probs["sad"]


def test_zero_smooths_nothing():
    smoothed = smoothing(smoothing_s=0, hysteresis=0)
    show(smoothed, SAD, 0.0)
    assert show(smoothed, HAPPY, 0.0).smoothed == HAPPY


@pytest.mark.parametrize(("happy", "label"), [(0.42, "sad"), (0.44, "sad"), (0.46, "happy")])
def test_the_label_changes_only_with_a_lead(happy, label):
    smoothed = smoothing(smoothing_s=0, hysteresis=0.1)
    show(smoothed, SAD, 0.0)
    assert show(smoothed, emotion(0.35, happy), 1.0).smoothed.label == label


def test_a_third_label_may_overtake_both():
    smoothed = smoothing(smoothing_s=0, hysteresis=0.1)
    show(smoothed, SAD, 0.0)
    assert show(smoothed, emotion(0.1, 0.3), 1.0).smoothed.label == "neutral"


@pytest.mark.parametrize(("confidence", "shown"), [(0.59, UNSURE), (0.61, "sad")])
def test_unsure_below_a_confidence(confidence, shown):
    result = show(smoothing(unsure_below=0.6), emotion(confidence, 0.1), 0.0)
    assert result.is_sure is (shown != UNSURE)
    assert result.shown_label == shown
    assert result.smoothed.label == "sad"


def test_people_do_not_mix():
    smoothed = smoothing()
    for index in range(10):
        one, two = smoothed.smooth([face(1), face(2)], [SAD, HAPPY], index / 25)
    assert one.smoothed.probs == pytest.approx(SAD.probs)
    assert two.smoothed.probs == pytest.approx(HAPPY.probs)
    assert (one.face.track_id, two.face.track_id) == (1, 2)


@pytest.mark.parametrize(("gap_s", "remembered"), [(1.9, True), (2.1, False), (1e9, False), (-0.01, True), (-5, False)])
def test_a_person_is_forgotten_after_a_while_or_when_time_jumps(gap_s, remembered):
    smoothed = smoothing(smoothing_s=60, keep_s=2)
    show(smoothed, SAD, 100.0)
    happy = show(smoothed, HAPPY, 100.0 + gap_s).smoothed.probs["happy"]
    assert happy == pytest.approx(0.45 if remembered else 0.7, abs=0.02)


def test_memory_is_bounded_by_the_people_of_the_last_moments():
    smoothed = smoothing(keep_s=1.0)
    for index in range(5000):
        show(smoothed, SAD, index / 10, track_id=index + 1)
    assert len(smoothed.state()["moods"]) <= 11


def test_restored_it_goes_on_alike():
    rng = np.random.default_rng(3)
    whole, first = smoothing(), smoothing()
    steps = [(float(index) / 7, emotion(*(0.45 * rng.random(2)))) for index in range(40)]
    expected = [show(whole, shown, time_s, 1 + index % 3) for index, (time_s, shown) in enumerate(steps)]
    for cut in range(40):
        part = smoothing()
        if cut:
            part.restore(json.loads(json.dumps(first.state())))
        got = [show(part, shown, time_s, 1 + (cut + i) % 3) for i, (time_s, shown) in enumerate(steps[cut:])]
        assert got == expected[cut:]
        show(first, steps[cut][1], steps[cut][0], 1 + cut % 3)


def test_state_of_other_labels_is_refused():
    smoothed = smoothing()
    show(smoothed, SAD, 0.0)
    other = Smoothing(("a", "b"), smoothing_s=1, hysteresis=0, unsure_below=0, sure_lead=0, keep_s=1)
    with pytest.raises(ValueError, match="probabilities of another number of labels, expected 2"):
        other.restore(smoothed.state())


def test_a_missing_answer_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        smoothing().smooth([face()], [], 0.0)


class TestTwoThresholds:
    """What is shown does not flicker where the probability stays near the threshold."""

    def shown(self, confidences, **settings) -> list[str]:
        known = smoothing(smoothing_s=0.0, unsure_below=0.5, **settings)
        return [show(known, emotion(sad, (1 - sad) / 2), i / 30).shown_label for i, sad in enumerate(confidences)]

    def test_near_the_threshold(self):
        waves = [0.5 + 0.06 * math.sin(i) for i in range(200)]
        one, two = self.shown(waves, sure_lead=0.0), self.shown(waves, sure_lead=0.1)
        assert sum(a != b for a, b in pairwise(one)) > 50
        assert sum(a != b for a, b in pairwise(two)) == 1
        assert two[-1] == UNSURE

    def test_nothing_below_the_lower_one_is_ever_shown(self):
        waves = [0.5 + 0.3 * math.sin(i / 5) for i in range(200)]
        assert all(label == UNSURE for label, sad in zip(self.shown(waves), waves, strict=True) if sad < 0.5)

    def test_comes_back_above_the_upper_one(self):
        confidences = [0.6, 0.55, 0.5, 0.49, 0.5, 0.59, 0.61, 0.55]
        assert self.shown(confidences, sure_lead=0.1) == ["sad", "sad", "sad", UNSURE, UNSURE, UNSURE, "sad", "sad"]

    def test_the_first_look_needs_no_lead(self):
        """Else a single picture would be unsure where `unsure_below` promises that it is not."""
        assert self.shown([0.5]) == ["sad"]

    def test_a_lead_beyond_certainty_is_certainty(self):
        known = smoothing(smoothing_s=0.0, unsure_below=0.95, sure_lead=0.5)
        labels = [show(known, emotion(sad, 0.0), i).shown_label for i, sad in enumerate([0.9, 0.99, 1.0])]
        assert labels == [UNSURE, UNSURE, "sad"]

    def test_is_part_of_the_state(self):
        known, other = smoothing(smoothing_s=0.0, unsure_below=0.5), smoothing(smoothing_s=0.0, unsure_below=0.5)
        show(known, emotion(0.4, 0.3), 0.0)
        other.restore(json.loads(json.dumps(known.state())))
        assert show(other, emotion(0.55, 0.1), 0.1).shown_label == UNSURE


class TestUnreadable:
    """A face whose quality has flags, such as the back of a head: no emotion is shown; raw values stay."""

    GOOD = FaceQuality(40.0, 9.0, 120.0, 40.0, 0.5, None, (0.0, 0.0, 0.0, 0.0), 0.9, True)
    BAD = replace(GOOD, has_face_geometry=False)

    def shown(self, kinds: str, **settings) -> list[FaceResult]:
        """A letter a frame: g good, b bad."""
        known, certain = smoothing(**settings), emotion(1.0, 0.0)
        results = []
        for index, kind in enumerate(kinds):
            quality = self.GOOD if kind == "g" else self.BAD
            (result,) = known.smooth([face()], [certain], index / 30, [quality])
            assert result.quality is quality
            results.append(result)
        return results

    def test_is_never_sure_and_keeps_its_values(self):
        for result in self.shown("bbbbbb", unsure_below=0.0):
            assert (result.shown_label, result.is_sure, result.flags) == (UNREADABLE, False, (QualityFlag.NOT_A_FACE,))
            assert (result.emotion.label, result.emotion.confidence) == ("sad", 1.0)
            assert (result.smoothed.label, result.smoothed.confidence) == ("sad", 1.0)

    def test_at_once_in_the_first_frame_and_without_smoothing(self):
        assert [result.is_readable for result in self.shown("b")] == [False]
        assert [result.is_readable for result in self.shown("gbg", smoothing_s=0.0)] == [True, False, True]

    def test_soon_and_not_for_a_single_frame(self):
        is_readable = [result.is_readable for result in self.shown("g" * 60 + "b" + "g" * 60, smoothing_s=0.25)]
        assert is_readable == [True] * 121
        is_readable = [result.is_readable for result in self.shown("g" * 60 + "b" * 60, smoothing_s=0.25)]
        assert is_readable.index(False) - 60 == pytest.approx(0.25 * math.log(2) * 30, abs=1), "half of the weight"
        assert not any(is_readable[70:])

    def test_is_shown_where_the_settings_say_so(self):
        (result,) = self.shown("b", hide_unreadable=False)
        assert (result.shown_label, result.is_readable, result.flags) == ("sad", True, (QualityFlag.NOT_A_FACE,))

    def test_unsure_and_unreadable_is_unreadable(self):
        (result,) = self.shown("b", unsure_below=1.0)
        assert result.shown_label == UNREADABLE

    def test_without_measures_every_face_is_readable(self):
        assert show(smoothing(), SAD, 0.0).quality is None
        assert show(smoothing(), SAD, 0.0).shown_label == "sad"

    def test_as_many_qualities_as_faces(self):
        with pytest.raises(ValueError, match="shorter"):
            smoothing().smooth([face()], [SAD], 0.0, [])

    def test_does_not_flicker_with_the_flags(self):
        is_sure = [result.is_sure for result in self.shown("bbbbbbgbbbgbbbgbbb" + "g" * 60)]
        assert is_sure[:18] == [False] * 18
        assert sum(a != b for a, b in pairwise(is_sure)) == 1
        assert is_sure[-1]
