"""Read a page of `--serve` like a browser, in a separate process, so its memory and time do not count for the loop.

python benchmarks/live/viewer.py http://127.0.0.1:8080/     # until the server ends; prints the number of pictures
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

PATIENCE_S = 20.0


@contextmanager
def one_viewer(url: str) -> Iterator[None]:
    """Keep one page open during the block; at the end, wait for the server to close it, at most `PATIENCE_S` seconds.

    Raises:
        RuntimeError: the page could not be opened.
    """
    child = subprocess.Popen([sys.executable, str(Path(__file__)), url], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        if child.stdout.readline() != "open\n":
            raise RuntimeError(f"no page could be opened at {url}")
        yield
        child.communicate(timeout=PATIENCE_S)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


async def watch(url: str) -> int:
    """Receive all messages and request the next picture after each one. Return the number of pictures."""
    num_pictures = 0
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}live", max_msg_size=0) as socket:
        print("open", flush=True)  # noqa: T201 - what `one_viewer` waits for
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                num_pictures += 1
                await socket.send_json({"ready": True})
    return num_pictures


if __name__ == "__main__":
    print(asyncio.run(watch(sys.argv[1])))  # noqa: T201
