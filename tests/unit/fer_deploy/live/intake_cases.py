"""Frames, and threads that may not hang."""

import threading

import numpy as np

from fer_deploy.vision.types import Frame

GUARD_S = 10


def frame(index: int, *, shape=(4, 6, 3)) -> Frame:
    return Frame(np.zeros(shape, dtype=np.uint8), index, index / 10, index)


def indices(chunk) -> list[int]:
    return [f.index for f in chunk.frames]


def in_thread(body):
    results = []
    thread = threading.Thread(target=lambda: results.append(body()))
    thread.start()

    def join():
        thread.join(GUARD_S)
        assert results, "the waiter did not wake"
        return results[0]

    return join
