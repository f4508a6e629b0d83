"""replays: the rows of many videos, in their order, computed by several processes."""

import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from fer_deploy.archive.joining.replayed import Replay, ReplayedVideo
from fer_deploy.archive.manifest import About, VideoRow
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import Work
from fer_deploy.errors import EngineError

Video = tuple[VideoRow, list[Work]]
"""A row of the manifest, and its segments."""


class Tables(NamedTuple):
    """A video that was replayed, and the files of its tables, which the reader removes."""

    video: ReplayedVideo
    faces: Path
    frames: Path


def replays(store: Store, about: About, videos: list[Video], folder: Path, *, jobs: int) -> Iterator[Tables]:
    """Yield the tables of videos in their order.

    Args:
        store: the archive.
        about: the settings.
        videos: rows and segments.
        folder: for the tables.
        jobs: processes; 1: this one.

    Raises:
        EngineError: a process died.
        FerDeployError: as `Replay.run`.
    """
    if jobs == 1:
        for number, video in enumerate(videos):
            yield _tables(store, about, video, folder / str(number))
        return
    # Spawned, not forked: this process may have threads of fsspec.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_ignore_ctrl_c)
    try:
        yield from _ahead(pool, store.address, about, videos, folder, 2 * jobs)
    except BrokenProcessPool as err:
        raise EngineError("a process of join died. Fix: fewer --jobs if memory is short, or --jobs 1") from err
    finally:
        pool.shutdown(cancel_futures=True)


def _ahead(
    pool: ProcessPoolExecutor, address: str, about: About, videos: list[Video], folder: Path, most: int
) -> Iterator[Tables]:
    """Yield the results in order; at most so many are ahead of the reader."""
    waiting: deque[Future[Tables]] = deque()
    for number, video in enumerate(videos):
        waiting.append(pool.submit(_tables_at, address, about, video, folder / str(number)))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _ignore_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends this process


def _tables_at(address: str, about: About, video: Video, folder: Path) -> Tables:
    return _tables(Store(address), about, video, folder)


def _tables(store: Store, about: About, video: Video, folder: Path) -> Tables:
    folder.mkdir()
    replay = Replay(store, about, folder)
    return Tables(replay.run(*video), replay.faces, replay.frames)
