import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from unit.fer_deploy.live.serve.stage import make_snapshot

from fer_deploy.live.serve import app
from fer_deploy.live.serve.app import RecentSnapshot


class Loop:
    """Counts how often it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.may_answer = threading.Event()

    def snapshot(self):
        self.num_asked += 1
        assert self.may_answer.wait(20)
        return make_snapshot()


def test_who_asks_at_once_shares_one(monkeypatch):
    async def scenario():
        with ThreadPoolExecutor(2) as executor:
            recent = RecentSnapshot(loop.snapshot, executor)
            asking = [asyncio.create_task(recent.get()) for _ in range(5)]
            await asyncio.sleep(0)  # all of them wait now
            loop.may_answer.set()
            return await asyncio.gather(*asking, recent.get())

    loop = Loop()
    monkeypatch.setattr(app, "MAX_AGE_S", 1000)
    snapshots = asyncio.run(scenario())
    assert len({id(snapshot) for snapshot in snapshots}) == 1
    assert loop.num_asked == 1


def test_an_old_one_is_replaced_but_never_two_are_taken_at_once(monkeypatch):
    async def scenario():
        with ThreadPoolExecutor(2) as executor:
            recent = RecentSnapshot(loop.snapshot, executor)
            asking = [asyncio.create_task(recent.get()) for _ in range(5)]
            await asyncio.sleep(0)
            loop.may_answer.set()
            first = await asyncio.gather(*asking)
            return first, await recent.get()

    loop = Loop()
    monkeypatch.setattr(app, "MAX_AGE_S", -1)
    first, second = asyncio.run(scenario())
    assert loop.num_asked == 2
    assert first[0] is not second


def test_who_leaves_takes_no_answer_from_the_others():
    async def scenario():
        with ThreadPoolExecutor(2) as executor:
            recent = RecentSnapshot(loop.snapshot, executor)
            leaving, staying = (asyncio.create_task(recent.get()) for _ in range(2))
            await asyncio.sleep(0)
            leaving.cancel()
            loop.may_answer.set()
            return await staying

    loop = Loop()
    assert asyncio.run(scenario()).num_frames == make_snapshot().num_frames
