"""Numbers without holes: what is gone within a second takes none."""

from fer_deploy.vision.probabilities import Probabilities
from fer_deploy.vision.tracking.people import People, PeopleConfig
from fer_deploy.vision.tracking.person_numbers import PersonNumbers
from fer_deploy.vision.tracking.smoothing import Smoothing
from fer_deploy.vision.types import Box, Detection, Emotion, TrackedFace

LABELS = ("dark", "bright")


def test_a_number_comes_after_a_second():
    numbers = PersonNumbers()
    assert [numbers.number(7, tenth / 10) for tenth in range(12)] == [None] * 10 + [1, 1]


def test_tracks_that_are_gone_before_leave_no_hole():
    numbers = PersonNumbers()
    for tenth in range(31):
        numbers.number(1, tenth / 10)
        if tenth in (3, 4):
            assert numbers.number(2, tenth / 10) is None
        if tenth == 12:
            assert numbers.number(3, 1.2) is None
        last = numbers.number(4, tenth / 10) if tenth >= 15 else None
    assert (last, numbers.next_number) == (2, 3)


def test_who_is_followed_for_a_second_first_is_number_1():
    numbers = PersonNumbers()
    numbers.number(1, 0.5)
    numbers.number(2, 0.0)
    assert numbers.number(2, 1.0) == 1
    assert numbers.number(1, 1.5) == 2


def test_the_number_stays_over_a_pause_and_is_not_given_twice():
    numbers = PersonNumbers()
    numbers.number(1, 0.0)
    assert numbers.number(1, 1.0) == 1
    numbers.forget(2.5, keep_s=2.0)
    assert numbers.number(1, 2.5) == 1
    numbers.forget(5.0, keep_s=2.0)
    assert numbers.tracks == {}
    numbers.number(2, 5.0)
    assert numbers.number(2, 6.0) == 2


def test_they_survive_json():
    numbers = PersonNumbers()
    numbers.number(1, 0.0)
    numbers.number(1, 1.0)
    again = PersonNumbers.model_validate_json(numbers.model_dump_json())
    assert (again.number(1, 1.1), again.next_number) == (1, 2)


def test_smoothing_gives_them_and_two_sources_count_apart():
    smoothings = [
        Smoothing(LABELS, smoothing_s=0.25, hysteresis=0.2, unsure_below=0.4, sure_lead=0.1, keep_s=2.0)
        for _ in range(2)
    ]
    emotion = Emotion("dark", 0.9, Probabilities.from_dict({"dark": 0.9, "bright": 0.1}))
    face = TrackedFace(5, Detection(Box(0, 0, 40, 50)))
    seen = [[one.smooth([face], [emotion], t)[0].person for t in (0.0, 0.5, 1.0)] for one in smoothings]
    assert seen == [[None, None, 1], [None, None, 1]]


def test_a_saved_state_goes_on_with_them():
    people = People(PeopleConfig(), LABELS)
    emotion = Emotion("dark", 0.9, Probabilities.from_dict({"dark": 0.9, "bright": 0.1}))
    face = TrackedFace(5, Detection(Box(0, 0, 40, 50)))
    people.smooth([face], [emotion], 0.0)
    again = People.from_state(PeopleConfig(), LABELS, people.state())
    assert [again.smooth([face], [emotion], t)[0].person for t in (0.9, 1.0)] == [None, 1]
