from types import SimpleNamespace

import pytest

from fer_deploy.analyze.jobs.plan import Planned, SegmentPlan
from fer_deploy.live.seeking.position import Position

SIZE = (128, 96)


class FakeIndex:
    """Predicts positions up to so many frames."""

    def __init__(self, num_frames=100, why_not=""):
        self.why_not, self._num_frames = why_not, num_frames

    def ahead(self, position, num_frames, *, size):
        assert size == SIZE
        index = position.index + num_frames
        return Position(index=index, pts=index) if index < self._num_frames else None


def proven(index):
    return Position(index=index, pts=index, digest="seen")


@pytest.fixture
def plan():
    return SegmentPlan(Planned(0, proven(0)), 24, SIZE)


def taken(plan):
    found = []
    while plan.peek() is not None:
        found.append(plan.take())
    return [(one.number, one.start.index, one.start.is_predicted) for one in found]


def test_without_an_index_only_the_first_segment(plan):
    assert taken(plan) == [(0, 0, False)]
    plan.prove(proven(24), was_predicted=False)
    plan.go_on()
    assert plan.peek() is None


def test_predicts_up_to_the_end(plan):
    plan.set_index(FakeIndex(), None)
    assert taken(plan) == [(0, 0, False), (1, 24, True), (2, 48, True), (3, 72, True), (4, 96, True)]


def test_an_index_that_comes_later(plan):
    first = plan.take()
    plan.set_index(FakeIndex(), first)
    assert taken(plan) == [(1, 24, True), (2, 48, True), (3, 72, True), (4, 96, True)]
    assert plan.why_in_order == ""


def test_a_video_that_is_longer_than_its_index(plan):
    plan.set_index(FakeIndex(num_frames=10), None)
    assert taken(plan) == [(0, 0, False)]
    plan.prove(proven(24), was_predicted=False)
    plan.go_on()
    assert taken(plan) == [(1, 24, False)]


def test_a_miss_begins_at_what_is_proven(plan):
    plan.set_index(FakeIndex(), None)
    taken(plan)
    plan.prove(proven(23), was_predicted=False)
    plan.miss()
    assert taken(plan) == [(1, 23, False), (2, 47, True), (3, 71, True), (4, 95, True)]


def test_misses_in_a_row(plan):
    plan.set_index(FakeIndex(), None)
    for number in range(1, 3):
        plan.miss()
        plan.prove(proven(24 * number), was_predicted=False)
    assert plan.why_in_order == ""
    plan.prove(proven(72), was_predicted=True)  # one that was right
    plan.miss()
    assert plan.why_in_order == ""
    plan.miss()
    plan.miss()
    assert plan.why_in_order == "its frames do not follow from its packets"


@pytest.mark.parametrize(
    ("index", "why"), [(None, "its packets cannot be read"), (FakeIndex(why_not="it has gaps"), "it has gaps")]
)
def test_no_use_of_the_index(plan, index, why):
    """A video of one segment needs none."""
    plan.take()
    plan.set_index(index, None)
    assert plan.why_in_order == ""
    plan.prove(proven(24), was_predicted=False)
    plan.go_on()
    assert plan.why_in_order == why


def test_going_on_without_use_of_the_index():
    plan = SegmentPlan(Planned(3, proven(72)), 24, SIZE)
    plan.set_index(FakeIndex(why_not="it has gaps"), None)
    assert plan.why_in_order == "it has gaps"


def test_the_end_is_the_end(plan):
    first = plan.take()
    plan.end()
    plan.set_index(FakeIndex(), first)
    assert plan.peek() is None


def test_engines_on_a_gpu(tmp_path):
    from fer_deploy.analyze.config import AnalyzeConfig  # noqa: PLC0415
    from fer_deploy.analyze.jobs.choice import num_jobs  # noqa: PLC0415
    from fer_deploy.engines.threads import available_cores  # noqa: PLC0415

    def chosen(*, is_concurrent=True, **settings):
        engine = SimpleNamespace(is_concurrent=is_concurrent, description="TensorRT, FP16")
        return num_jobs(AnalyzeConfig.model_validate({"out": tmp_path, **settings}), engine)

    assert chosen() == (1, "")
    assert chosen(jobs=3) == (3, "")
    assert chosen(jobs="auto") == (available_cores(), "")
    assert chosen(jobs=3, is_concurrent=False) == (
        1,
        "--jobs 3 has no effect: TensorRT, FP16 is a GPU, which one process uses best",
    )
    number, why = chosen(jobs="auto", pipeline={"detect_every": 3})
    assert number == 1
    assert available_cores() == 1 or "--jobs auto is 1 with --detect-every" in why
