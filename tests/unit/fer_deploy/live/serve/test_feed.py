import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import cv2
import numpy as np
import pytest
from unit.fer_deploy.live.serve.stage import make_result

from fer_deploy.live.serve import feed as feed_module
from fer_deploy.live.serve.feed import MAX_WIDTH, Feed, jpeg_from_bgr

SOON_S = 20.0


@asynccontextmanager
async def feeding():
    with ThreadPoolExecutor(1) as executor:
        yield Feed(asyncio.get_running_loop(), executor)


@pytest.fixture
def encodings(monkeypatch):
    """Widths of the pictures that were compressed."""
    widths: list[int] = []

    def encode(frame_bgr) -> bytes:
        widths.append(frame_bgr.shape[1])
        return jpeg_from_bgr(frame_bgr)

    monkeypatch.setattr(feed_module, "jpeg_from_bgr", encode)
    return widths


def test_while_nobody_watches_nobody_is_woken(encodings, monkeypatch):
    async def scenario():
        async with feeding() as feed:
            monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", pytest.fail, raising=False)
            for index in range(50):
                feed.publish(make_result(index))
            monkeypatch.undo()
            return feed.num_ticks, feed.num_encoded

    assert asyncio.run(scenario()) == (0, 0)
    assert encodings == []


def test_who_comes_late_sees_the_last_result():
    async def scenario():
        async with feeding() as feed:
            feed.publish(make_result(4))
            feed.publish(make_result(9, source=2))
            feed.join()
            return feed.shown(0).frame.index, feed.shown(1), feed.shown(2).frame.index

    assert asyncio.run(scenario()) == (4, None, 9)


def test_a_burst_is_one_tick_with_the_newest_result():
    async def scenario():
        async with feeding() as feed:
            feed.join()
            for index in range(100):
                feed.publish(make_result(index))
            await feed.wait_tick(0, SOON_S)
            return feed.num_ticks, feed.shown(0).frame.index

    assert asyncio.run(scenario()) == (1, 99)


def test_ticks_keep_their_distance():
    async def scenario():
        async with feeding() as feed:
            feed.join()
            loop = asyncio.get_running_loop()
            times = []
            for index in range(4):
                feed.publish(make_result(index))
                await feed.wait_tick(index, SOON_S)
                times.append(loop.time())
            return np.diff(times)

    # The loop's clock decides when a timer fires, up to its own resolution before; it never fires twice for one.
    assert (asyncio.run(scenario()) > 0.9 / feed_module.MAX_FPS).all()


def test_waiting_has_an_end():
    async def scenario():
        async with feeding() as feed:
            feed.join()
            await feed.wait_tick(0, 0.0)
            return feed.num_ticks

    assert asyncio.run(scenario()) == 0


def test_all_viewers_share_one_encoding(encodings):
    async def scenario():
        async with feeding() as feed:
            result = make_result(3)
            pictures = await asyncio.gather(*(feed.jpeg(result) for _ in range(5)))
            pictures.append(await feed.jpeg(result))
            return {id(picture) for picture in pictures}, feed.num_encoded

    identities, num_encoded = asyncio.run(scenario())
    assert len(identities) == 1
    assert num_encoded == 1
    assert encodings == [64]


def test_a_viewer_that_leaves_takes_no_picture_from_the_others(encodings):
    async def scenario():
        async with feeding() as feed:
            result = make_result(3)
            leaving, staying = (asyncio.create_task(feed.jpeg(result)) for _ in range(2))
            await asyncio.sleep(0)  # both wait now
            leaving.cancel()
            return await staying, await asyncio.gather(leaving, return_exceptions=True)

    picture, [cancelled] = asyncio.run(scenario())
    assert picture.startswith(b"\xff\xd8")
    assert isinstance(cancelled, asyncio.CancelledError)
    assert len(encodings) == 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 48), (64, 48)),
        ((MAX_WIDTH, 540), (MAX_WIDTH, 540)),
        ((3840, 2160), (960, 540)),
        ((5000, 1), (960, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_wide_pictures_are_scaled_down(size, expected):
    picture = np.full((size[1], size[0], 3), (10, 120, 240), dtype=np.uint8)
    decoded = cv2.imdecode(np.frombuffer(jpeg_from_bgr(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[1::-1] == expected
    assert np.abs(decoded.astype(int) - (10, 120, 240)).max() < 12
