"""The baseline of a person's resting face, and the share of neutral faces."""

import json

import numpy as np
import pytest

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.errors import ConfigError
from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.tracking.baseline import Calm, Correction, doubt_about_file
from fer_deploy.vision.tracking.people import People, PeopleConfig
from fer_deploy.vision.types import Box, Detection, Emotion, TrackedFace

LABELS = ("sad", "happy", "neutral")
FACE = (TrackedFace(1, Detection(Box(0, 0, 40, 50))),)
GOOD = FaceQuality(40.0, 9.0, 120.0, 40.0, 0.5, None, (0.0, 0.0, 0.0, 0.0), 0.9, True)
BAD = FaceQuality(9.0, 9.0, 120.0, 40.0, 0.5, None, (0.0, 0.0, 0.0, 0.0), 0.9, True)


def emotion(*probs: float) -> Emotion:
    label = LABELS[int(np.argmax(probs))]
    return Emotion(label, max(probs), Probabilities.of(np.array(probs, dtype=np.float32), LABELS))


RESTING_SAD, SMILE, REALLY_SAD = emotion(0.6, 0.05, 0.35), emotion(0.01, 0.97, 0.02), emotion(0.97, 0.01, 0.02)


class Person:
    """Shows one face after another, ten a second."""

    def __init__(self, **settings) -> None:
        self.people = People(PeopleConfig(smoothing_s=0.0, **settings), LABELS)
        self.num = 0

    def shows(self, shown: Emotion, seconds: float, quality: FaceQuality = GOOD):
        for _ in range(round(10 * seconds)):
            (result,) = self.people.smooth(FACE, [shown], self.num / 10, [quality])
            self.num += 1
        return result


@pytest.mark.parametrize("baseline", ["first:5s", "running"])
class TestCalmStart:
    def test_the_resting_face_becomes_neutral_and_the_raw_answer_stays(self, baseline):
        result = Person(baseline=baseline).shows(RESTING_SAD, 5)
        assert result.emotion is RESTING_SAD
        assert (result.corrected.label, result.smoothed.label, result.shown_label) == ("neutral",) * 3
        assert sum(result.corrected.probs) == pytest.approx(1)

    def test_a_smile_and_real_sadness_are_shown(self, baseline):
        person = Person(baseline=baseline)
        person.shows(RESTING_SAD, 5)
        assert person.shows(SMILE, 1).shown_label == "happy"
        assert person.shows(SMILE, 1).corrected.probs["happy"] > 0.95
        assert person.shows(REALLY_SAD, 1).shown_label == "sad"

    def test_not_within_the_first_second(self, baseline):
        result = Person(baseline=baseline).shows(RESTING_SAD, 0.9)
        assert result.shown_label == "sad"
        assert result.corrected.probs == pytest.approx(RESTING_SAD.probs, abs=1e-6)

    def test_who_begins_with_a_smile_still_smiles(self, baseline):
        """The cap: a wrong baseline costs confidence, and not the label."""
        assert Person(baseline=baseline).shows(SMILE, 20).shown_label == "happy"

    def test_unreadable_frames_teach_nothing(self, baseline):
        person = Person(baseline=baseline)
        person.shows(RESTING_SAD, 5, BAD)
        assert person.shows(RESTING_SAD, 0.5).shown_label == "sad"

    def test_continues_exactly_from_a_saved_state(self, baseline):
        whole, first = Person(baseline=baseline), Person(baseline=baseline)
        whole.shows(RESTING_SAD, 3)
        first.shows(RESTING_SAD, 3)
        second = Person(baseline=baseline)
        state = json.loads(json.dumps(first.people.state()))
        second.people = People.from_state(PeopleConfig(smoothing_s=0.0, baseline=baseline), LABELS, state)
        second.num = first.num
        for shown in (RESTING_SAD, SMILE, REALLY_SAD):
            assert second.shows(shown, 4) == whole.shows(shown, 4)


def test_several_emotions_at_rest_leave_enough_to_neutral():
    """Each of them is below the ceiling of a single one, and all together would take half from neutral."""
    labels = ("sad", "angry", "fear", "neutral")
    at_rest = np.log([[0.2, 0.19, 0.01, 1.0], [0.2, 0.19, 0.01, 1.0]])
    correction = Correction(labels, baseline="running", cap=2.0, neutral_share=None, usual_neutral_share=None)
    assert correction._offsets(at_rest) == pytest.approx(np.zeros(4)), "neutral has 0.71 already"
    many = np.array([np.log([0.9, 0.6, 0.04, 1.0])])
    odds = np.exp(many[0] + correction._offsets(many))
    assert odds == pytest.approx([0.2231, 0.2231, 0.04, 1.0], abs=1e-4), "the ceiling of a single one"
    labels = (*"abcdefg", "neutral")
    correction = Correction(labels, baseline="running", cap=2.0, neutral_share=None, usual_neutral_share=None)
    many = np.array([np.log([0.4] * 6 + [0.01, 1.0])])
    odds = np.exp(many[0] + correction._offsets(many))
    assert 1 / odds.sum() == pytest.approx(0.6)
    assert odds[6] == pytest.approx(0.01), "a small one stays"


def test_first_stays_and_running_follows():
    """A person who rests neutral at first, and sad from then on."""
    calm = emotion(0.05, 0.05, 0.9)
    first, running = Person(baseline="first:5s"), Person(baseline="running")
    for person in (first, running):
        person.shows(calm, 6)
    assert first.shows(RESTING_SAD, 120).shown_label == "sad"
    assert running.shows(RESTING_SAD, 120).shown_label == "neutral"
    assert len(running.people.state()["smoothing"]["moods"]["1"]["baseline"]["samples"]) < 70


def test_each_person_has_an_own_one():
    people = People(PeopleConfig(smoothing_s=0.0, baseline="first:2s"), LABELS)
    faces = tuple(TrackedFace(n, Detection(Box(50 * n, 0, 50 * n + 40, 50))) for n in (1, 2))
    for index in range(30):
        one, two = people.smooth(faces, [RESTING_SAD, SMILE], index / 10, [GOOD, GOOD])
    assert (one.shown_label, two.shown_label) == ("neutral", "happy")
    one, two = people.smooth(faces, [SMILE, RESTING_SAD], 3.1, [GOOD, GOOD])
    assert (one.shown_label, two.shown_label) == ("happy", "sad")


def test_the_cap():
    very_sad_at_rest = emotion(0.85, 0.05, 0.1)
    labels = [
        Person(baseline="first:5s", baseline_cap=cap).shows(very_sad_at_rest, 5).shown_label for cap in (0, 2, 20)
    ]
    assert labels == ["sad", "sad", "neutral"]
    assert Person(baseline="first:5s", baseline_cap=20.0).shows(REALLY_SAD, 5).shown_label == "sad"


class TestNotCalm:
    @staticmethod
    def lively(person):
        return person.people.state()["smoothing"]["lively"]

    def test_a_smile_in_the_stretch_is_noted(self, caplog):
        person = Person(baseline="first:5s")
        person.people = People(PeopleConfig(smoothing_s=0.0, baseline="first:5s"), LABELS, warns=True)
        person.shows(RESTING_SAD, 4)
        person.shows(SMILE, 1)
        assert [int(track) for track in self.lively(person)] == [1]
        assert not caplog.messages, "the stretch goes on"
        person.shows(RESTING_SAD, 2)
        (share,) = self.lively(person).values()
        assert share == pytest.approx(0.2, abs=0.02)
        (told,) = caplog.messages
        assert told.startswith("track 1 looks happy or surprised in 2")
        assert "choose another stretch" in told

    @pytest.mark.parametrize("resting", [RESTING_SAD, REALLY_SAD])
    def test_a_model_that_calls_calm_faces_sad_is_no_smile(self, resting):
        person = Person(baseline="first:5s")
        person.shows(resting, 6)
        person.shows(SMILE, 5)
        assert self.lively(person) == {}

    def test_running_has_no_stretch(self):
        person = Person(baseline="running")
        person.shows(SMILE, 5)
        assert self.lively(person) == {}


class TestFile:
    HEADER = "frame,p_sad,p_happy,p_neutral,flags\n"

    def write(self, tmp_path, rows, header=HEADER):
        path = tmp_path / "faces.csv"
        path.write_text(header + "".join(f"{number},{row}\n" for number, row in enumerate(rows)))
        return str(path)

    def test_of_a_calm_recording(self, tmp_path):
        path = self.write(tmp_path, ["0.6,0.05,0.35,", "0.01,0.98,0.01,SMALL_FACE", "0.6,0.0,0.4,"])
        person = Person(baseline=path)
        assert person.shows(RESTING_SAD, 0.1).shown_label == "neutral", "from the first frame on"
        assert person.shows(SMILE, 0.1).shown_label == "happy"

    def test_of_a_smile_is_told(self, tmp_path):
        calm, smile = "0.6,0.05,0.35,", "0.01,0.98,0.01,"
        assert doubt_about_file(self.write(tmp_path, [calm] * 9 + [smile]), LABELS) == ""
        doubt = doubt_about_file(self.write(tmp_path, [calm] * 4 + [smile]), LABELS)
        assert "faces.csv looks happy or surprised in 20% of what --baseline calls calm" in doubt
        assert doubt_about_file("running", LABELS) == doubt_about_file(None, LABELS) == ""

    @pytest.mark.parametrize(
        ("rows", "header", "fault"),
        [
            (["0.6,0.05,0.35,CUT_OFF"], HEADER, r"has no readable face\. Fix: a recording of a calm, readable face"),
            (["0.6,0.4,"], "frame,p_sad,p_neutral,flags\n", r"it has no column p_happy\. Fix: the faces\.csv"),
            (["0.1,0.2,0.3,0.4,"], "frame,p_sad,p_happy,p_neutral,p_odd,flags\n", "it has p_odd, which are no labels"),
            (["a,b,c,"], HEADER, r"cannot read the baseline .*faces\.csv: could not convert"),
        ],
    )
    def test_others_are_refused(self, tmp_path, rows, header, fault):
        with pytest.raises(ConfigError, match=fault):
            Person(baseline=self.write(tmp_path, rows, header))

    def test_none(self, tmp_path):
        with pytest.raises(ConfigError, match=r"cannot read the baseline .*none\.csv: No such file"):
            Person(baseline=str(tmp_path / "none.csv"))


class TestNeutralShare:
    def test_moves_what_is_near_and_leaves_what_is_clear(self):
        person = Person(neutral_share=0.8, usual_neutral_share=0.4)
        assert person.shows(RESTING_SAD, 0.1).shown_label == "neutral"
        assert person.shows(SMILE, 0.1).shown_label == "happy"
        probs = person.shows(RESTING_SAD, 0.1).corrected.probs
        assert probs["neutral"] / probs["sad"] == pytest.approx(0.35 / 0.6 * (0.8 / 0.4) * (0.6 / 0.2), rel=1e-5)

    def test_the_usual_share_changes_nothing(self):
        result = Person(neutral_share=0.4, usual_neutral_share=0.4).shows(RESTING_SAD, 0.1)
        assert result.corrected.probs == pytest.approx(RESTING_SAD.probs, abs=1e-6)

    def test_the_models_own_share(self):
        per_class = {"sad": {"support": 60.0}, "happy": {"support": 20.0}, "neutral": {"support": 20.0}}
        metrics = {"checkpoint": {"PublicTest": {"plain": {"per_class": per_class}}}}
        spec = FAKE_SPEC.model_copy(update={"labels": LABELS, "metrics": metrics})
        assert PeopleConfig(neutral_share=0.5).for_model(spec).usual_neutral_share == 0.2
        assert PeopleConfig(neutral_share=0.5, usual_neutral_share=0.3).for_model(spec).usual_neutral_share == 0.3
        assert PeopleConfig().for_model(spec).usual_neutral_share is None

    def test_a_model_that_does_not_say(self):
        config = PeopleConfig(neutral_share=0.5).for_model(FAKE_SPEC)
        with pytest.raises(ConfigError, match=r"does not say how many .*neutral\. Fix: usual_neutral_share"):
            People(config, LABELS)


def test_a_model_without_neutral():
    with pytest.raises(ConfigError, match=r"no label 'neutral', only dark, bright\. Fix: leave --baseline"):
        People(PeopleConfig(baseline="running"), ("dark", "bright"))


@pytest.mark.parametrize("text", ["first", "first:0.5s", "first:-3", "forever", "", "calm.parquet"])
def test_unknown_baselines(text):
    with pytest.raises(ValueError, match=r"expected first:SECONDS .*Fix: --baseline first:10s"):
        PeopleConfig(baseline=text)


@pytest.mark.parametrize("text", ["first:10s", "first:10", "first:1.5s"])
def test_seconds(text):
    assert Calm.of(text).span_s == float(text.removeprefix("first:").removesuffix("s"))


def test_without_one_nothing_is_corrected():
    result = Person().shows(RESTING_SAD, 3)
    assert result.corrected is None
    assert (PeopleConfig().corrects, PeopleConfig().correction_in_words()) == (False, {})
    told = PeopleConfig(baseline="first:10s", neutral_share=0.5).correction_in_words()
    assert told == {"correction": "baseline first:10s, at most 2; neutral share 0.5"}
