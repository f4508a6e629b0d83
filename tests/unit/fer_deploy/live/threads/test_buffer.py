import threading

import pytest
from unit.fer_deploy.live.intake_cases import GUARD_S, in_thread

from fer_deploy.live.threads.buffer import END, PENDING, Buffer, DropPolicy


@pytest.mark.parametrize("policy", DropPolicy)
def test_first_in_first_out(policy):
    buffer: Buffer[int] = Buffer(3, policy)
    assert all(buffer.put(i) for i in range(3))
    assert [buffer.get() for _ in range(3)] == [0, 1, 2]
    assert buffer.num_dropped == 0


@pytest.mark.parametrize(("capacity", "kept"), [(1, [9]), (4, [6, 7, 8, 9])])
def test_drop_oldest_keeps_the_newest_and_counts(capacity, kept):
    buffer: Buffer[int] = Buffer(capacity, DropPolicy.DROP_OLDEST)
    for i in range(10):
        assert buffer.put(i)
    assert [buffer.get() for _ in kept] == kept
    assert buffer.num_dropped == 10 - capacity


def test_wait_blocks_until_there_is_room():
    buffer: Buffer[int] = Buffer(1, DropPolicy.WAIT)
    buffer.put(0)
    passed = threading.Event()
    join = in_thread(lambda: (buffer.put(1), passed.set())[0])
    assert not passed.wait(0.05)
    assert buffer.get() == 0
    assert join() is True
    assert buffer.get() == 1
    assert buffer.num_dropped == 0


def test_a_waiting_get_wakes_on_put():
    buffer: Buffer[str] = Buffer(1, DropPolicy.WAIT)
    join = in_thread(lambda: buffer.get(GUARD_S))
    buffer.put("frame")
    assert join() == "frame"


@pytest.mark.parametrize("policy", DropPolicy)
def test_finish_delivers_what_is_inside(policy):
    buffer: Buffer[int] = Buffer(4, policy)
    buffer.put(1)
    buffer.put(2)
    buffer.finish()
    assert [buffer.get(), buffer.get(), buffer.get(), buffer.get()] == [1, 2, END, END]


@pytest.mark.parametrize("policy", DropPolicy)
def test_close_forgets_what_is_inside(policy):
    buffer: Buffer[int] = Buffer(4, policy)
    buffer.put(1)
    buffer.close()
    assert buffer.get() is END
    assert buffer.put(2) is False
    assert buffer.get(0) is END


@pytest.mark.parametrize("end", ["finish", "close"])
def test_a_waiting_get_wakes_on(end):
    buffer: Buffer[int] = Buffer(1, DropPolicy.WAIT)
    join = in_thread(lambda: buffer.get(GUARD_S))
    getattr(buffer, end)()
    assert join() is END


def test_a_waiting_put_wakes_on_close():
    buffer: Buffer[int] = Buffer(1, DropPolicy.WAIT)
    buffer.put(0)
    join = in_thread(lambda: buffer.put(1))
    buffer.close()
    assert join() is False


def test_pending_when_nothing_came_in_time():
    buffer: Buffer[int] = Buffer(1, DropPolicy.WAIT)
    assert buffer.get(timeout_s=0.001) is PENDING
    buffer.put(3)
    assert buffer.get(timeout_s=0.001) == 3


def test_signals_have_names():
    assert (repr(END), repr(PENDING)) == ("END", "PENDING")


def test_capacity_is_at_least_one():
    with pytest.raises(AssertionError):
        Buffer(0, DropPolicy.WAIT)


def test_nothing_is_lost_or_doubled_between_threads():
    buffer: Buffer[int] = Buffer(2, DropPolicy.WAIT)
    join = in_thread(lambda: [buffer.put(i) for i in range(500)] and buffer.finish())
    got = list(iter(buffer.get, END))
    join()
    assert got == list(range(500))
