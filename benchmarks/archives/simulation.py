"""Simulation of an archive on many workers: one driver, one link to the videos, one store for the results."""

import heapq
import random
from collections.abc import Sequence
from typing import NamedTuple

_SEED = 20_260


class Farm(NamedTuple):
    """What is simulated.

    Attributes:
        num_workers: each computes one segment at a time.
        num_segments: of the archive.
        compute_s: seconds of segments that were measured; drawn from.
        driver_s: CPU seconds of the driver for a segment, with its share of the questions to the workers.
        group: segments of a video that one worker computes in a row: it copies the video once for them.
        copy_bytes: of a video.
        link_bytes_s: of the source, shared by all.
        requests: to the store for a segment.
        requests_s: that the store answers in a second.
        latency_s: of a request.
    """

    num_workers: int
    num_segments: int
    compute_s: Sequence[float]
    driver_s: float
    group: int
    copy_bytes: float
    link_bytes_s: float
    requests: int
    requests_s: float
    latency_s: float


class Simulated(NamedTuple):
    """The outcome: hours, and which share of them each part was busy."""

    hours: float
    workers: float
    driver: float
    link: float
    store: float


def simulate(farm: Farm) -> Simulated:
    """Let each worker ask the driver, copy its video if it is a new one, compute, and write, until all is done."""
    draw = random.Random(_SEED)
    driver_s = link_s = store_s = end_s = computed_s = 0.0
    num_left, num_copies = farm.num_segments, 0
    copy_s, write_s = farm.copy_bytes / farm.link_bytes_s, farm.requests / farm.requests_s
    events = [(0.0, worker, 0, False) for worker in range(farm.num_workers)]
    while events:
        now_s, worker, num_of_group, has_computed = heapq.heappop(events)
        if has_computed:
            store_s = max(store_s, now_s) + write_s
            end_s = store_s + farm.requests * farm.latency_s
            heapq.heappush(events, (end_s, worker, (num_of_group + 1) % farm.group, False))
        elif num_left:
            num_left -= 1
            driver_s = ready_s = max(driver_s, now_s) + farm.driver_s
            if num_of_group == 0:
                link_s = ready_s = max(link_s, ready_s) + copy_s
                num_copies += 1
            compute_s = draw.choice(farm.compute_s)
            computed_s += compute_s
            heapq.heappush(events, (ready_s + compute_s, worker, num_of_group, True))
    busy = [
        computed_s / farm.num_workers,
        farm.num_segments * farm.driver_s,
        num_copies * copy_s,
        farm.num_segments * write_s,
    ]
    return Simulated(end_s / 3600, *(one / end_s for one in busy))
