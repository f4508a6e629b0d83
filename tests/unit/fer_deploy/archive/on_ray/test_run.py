"""Which worker gets which segment, and why workers were lost. Needs the package Ray, and no cluster."""

from collections import Counter, deque

import pytest

from fer_deploy.archive.dead_letters import WorkerHung, kind_of
from fer_deploy.archive.manifest import Segment, VideoRow
from fer_deploy.archive.work import Work

pytest.importorskip("ray")
from ray.exceptions import ActorDiedError, OutOfMemoryError

from fer_deploy.archive.on_ray import run as on_ray
from fer_deploy.archive.on_ray.losses import died
from fer_deploy.archive.on_ray.member import Event, Member


def works(address: str, num: int) -> list[Work]:
    segments = tuple(Segment(number, 24 * number, 24, "") for number in range(num))
    row = VideoRow(id=address[-1], address=address, segments=segments)
    return [Work(row, one, False, "key") for one in segments]


class Todo:
    """Gives segments in their order."""

    has_later = False

    def __init__(self, works: list[Work]) -> None:
        self._left = deque(works)
        self.failed, self.num_done = [], 0

    def next(self) -> Work | None:
        return self._left.popleft() if self._left else None

    def fail(self, work: Work, err: Exception, *, host: str) -> None:
        self.failed.append((work.segment.number, str(err), host))

    def done(self, num_frames: int) -> None:
        self.num_done += 1


class Pool:
    def __init__(self, *members: Member) -> None:
        self._members = members

    def others(self) -> list[Member]:
        return sorted((one for one in self._members if one.own), key=lambda one: -len(one.own))


@pytest.fixture
def run(monkeypatch):
    def make(todo: Todo) -> on_ray.RayRun:
        run = on_ray.RayRun.__new__(on_ray.RayRun)
        run._todo, run._ahead, run._orphans, run._num_lost = todo, None, deque(), Counter()
        return run

    return make


def members(num: int) -> list[Member]:
    return [Member(number, None, None, "idle") for number in range(num)]


def test_local_segments_go_to_whoever_is_idle(run):
    one, other = members(2)
    scheduling, pool = run(Todo(works("/a", 4))), Pool(one, other)
    given = [scheduling._next(member, pool) for member in (one, other, one, other, one)]
    assert [None if work is None else work.segment.number for work in given] == [0, 1, 2, 3, None]
    assert all(work.row.segments == () for work in given if work)  # they would travel with each segment


def test_segments_of_a_remote_video_stay_together(run):
    one, other = members(2)
    scheduling, pool = run(Todo([*works("s3://b/x", 3), *works("s3://b/y", 3)])), Pool(one, other)
    given = Counter()
    for member in (one, other, one, other, one, other):
        given[member.number, scheduling._next(member, pool).row.id] += 1
    assert given == {(0, "x"): 3, (1, "y"): 3}
    assert scheduling._next(one, pool) is None


def test_an_idle_worker_helps_the_one_with_the_most(run):
    one, other = members(2)
    scheduling, pool = run(Todo(works("s3://b/x", 4))), Pool(one, other)
    assert scheduling._next(one, pool).segment.number == 0
    assert scheduling._next(other, pool).segment.number == 3
    assert [work.segment.number for work in one.own] == [1, 2]


def test_segments_of_a_lost_worker_go_to_another(run):
    one, other = members(2)
    scheduling, pool = run(Todo(works("s3://b/x", 3))), Pool(other)
    work = scheduling._next(one, pool)
    one.state = "busy"
    scheduling._use(Event(one, work, None))
    assert scheduling._has_more()
    assert [scheduling._next(other, pool).segment.number for _ in range(3)] == [1, 2, 0]
    assert not scheduling._has_more()


def test_a_segment_that_ends_its_nodes_is_to_blame_in_the_end(run):
    (one,) = members(1)
    todo = Todo(works("/a", 1))
    scheduling, pool = run(todo), Pool(one)
    for _ in range(3):
        scheduling._use(Event(one, scheduling._next(one, pool), None))
        assert todo.failed == []
    one.host = "a"
    scheduling._use(Event(one, scheduling._next(one, pool), None))
    assert todo.failed == [(0, "the 3 last nodes of this segment were lost", "a")]


def test_reasons_of_a_loss():
    assert kind_of(WorkerHung("it hung")) == "hang"
    short = OutOfMemoryError("Task was killed due to the node running low on memory.")
    assert kind_of(died(short, "a")) == "memory"
    crashed = ActorDiedError()
    assert kind_of(died(crashed, "a")) == "crash"
    assert "a worker on a died: Ray says: The actor died unexpectedly" in str(died(crashed, "a"))
