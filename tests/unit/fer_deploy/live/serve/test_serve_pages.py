"""The sink for browsers: what each page that is open gets, and when."""

import asyncio

import aiohttp
import pytest
from unit.fer_deploy.live.serve.http_client import get, next_of
from unit.fer_deploy.live.serve.page_client import metric, next_picture, quick_close, watching
from unit.fer_deploy.live.serve.stage import LABELS, Actor, endless, make_result, serving

from fer_deploy.live.serve.app import MAX_VIEWERS


def test_a_page_is_sent_labels_status_and_the_newest_frame():
    async def scenario(url):
        async with watching(url) as page:
            hello = await next_of(page, "hello")
            status = await next_of(page, "status")
            result, picture = await next_picture(page)
            return hello, status, result, picture

    with serving() as sink:
        for index in range(5):
            assert sink.write(make_result(index, num_people=2), None) is True
        hello, status, result, picture = asyncio.run(scenario(sink.url))
    assert hello["labels"] == list(LABELS)
    assert status["health"] == "ok"
    assert (result["frame"], result["picture"]) == (4, True)
    assert [face["id"] for face in result["faces"]] == [1, 2]
    assert picture.shape == (48, 64, 3)


def test_results_go_on_while_a_page_is_not_ready_for_the_next_picture():
    async def scenario(url):
        async with watching(url) as page:
            await next_picture(page)
            without = [await next_of(page, "result") for _ in range(5)]
            await page.send_json({"ready": True})
            result, _ = await next_picture(page)
            return without, result

    with serving() as sink, Actor(sink, endless()):
        without, result = asyncio.run(scenario(sink.url))
    assert not any(message["picture"] for message in without)
    assert result["picture"]
    indices = [message["frame"] for message in (*without, result)]
    assert indices == sorted(set(indices))


def test_without_a_page_no_picture_is_compressed():
    with serving() as sink:
        for index in range(30):
            sink.write(make_result(index), None)
        assert metric(sink.url, "fer_live_encoded_pictures_total") == 0
        assert sink.needs_picture is False


def test_pages_share_a_picture():
    async def scenario(url):
        async with watching(url) as first, watching(url) as second:
            return await asyncio.gather(next_picture(first), next_picture(second))

    with serving() as sink:
        sink.write(make_result(7), None)
        pictures = asyncio.run(scenario(sink.url))
        assert [result["frame"] for result, _ in pictures] == [7, 7]
        assert metric(sink.url, "fer_live_encoded_pictures_total") == 1


def test_a_page_chooses_its_source():
    async def scenario(url):
        async with watching(url) as page:
            first, _ = await next_picture(page)
            await page.send_json({"source": 1, "ready": True})
            while (message := await next_picture(page))[0]["source"] == 0:
                await page.send_json({"ready": True})
            return first, message[0]

    with serving() as sink:
        sink.write(make_result(3, source=0), None)
        sink.write(make_result(8, source=1), None)
        first, second = asyncio.run(scenario(sink.url))
    assert (first["source"], first["frame"]) == (0, 3)
    assert (second["source"], second["frame"]) == (1, 8)


@pytest.mark.parametrize("said", ["nonsense", b"bytes", '{"source": -5}'])
def test_a_page_that_talks_nonsense_is_shown_out(said):
    async def scenario(url):
        async with watching(url) as page:
            await (page.send_bytes(said) if isinstance(said, bytes) else page.send_str(said))
            while (await page.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            return page.close_code

    with serving() as sink:
        assert asyncio.run(scenario(sink.url)) == aiohttp.WSCloseCode.POLICY_VIOLATION
        assert get(sink.url, "/healthz").status == 200


def test_a_message_that_is_too_long_is_not_read():
    async def scenario(url):
        async with watching(url) as page:
            await page.send_str("x" * 10_000)
            while (await page.receive(timeout=20)).type is not aiohttp.WSMsgType.CLOSE:
                pass
            return page.close_code

    with serving() as sink:
        assert asyncio.run(scenario(sink.url)) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


def test_pages_beyond_the_limit_are_told_why():
    async def scenario(url):
        async with aiohttp.ClientSession() as session:
            pages = [await session.ws_connect(f"{url}live", timeout=quick_close()) for _ in range(MAX_VIEWERS)]
            await asyncio.gather(*(next_of(page, "hello") for page in pages))
            late = await session.ws_connect(f"{url}live", timeout=quick_close())
            refusal = await late.receive(timeout=20)
            await pages[0].close()
            while not (message := await _first_message(session, url)):
                pass
            return refusal, message

    async def _first_message(session, url):
        page = await session.ws_connect(f"{url}live", timeout=quick_close())
        message = await page.receive(timeout=20)
        return message.json() if message.type is aiohttp.WSMsgType.TEXT else None

    with serving() as sink:
        refusal, message = asyncio.run(scenario(sink.url))
    assert (refusal.data, refusal.extra) == (
        aiohttp.WSCloseCode.TRY_AGAIN_LATER,
        f"{MAX_VIEWERS} pages are open already",
    )
    assert message["type"] == "hello", "one that left makes room"
