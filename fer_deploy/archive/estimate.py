"""Estimate: core-hours, bytes and money for a whole archive, from some of its segments."""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from fer_deploy.analyze.segments.observations import SegmentAbout
from fer_deploy.archive.store import Entry, Store
from fer_deploy.archive.work import Work, abouts_of, segment_files

_SEED = 20_260


class Sample(NamedTuple):
    """A finished segment: its frames, its CPU seconds, and the bytes of its observations."""

    num_frames: int
    cpu_s: float
    num_bytes: int


class Estimate(NamedTuple):
    """A total, estimated from samples by the ratio to their frames.

    Attributes:
        num_samples: segments.
        core_hours: for the whole.
        core_hours_error: standard error of that; infinite with fewer than two samples.
        cpu_ms_per_frame: mean.
        spread_ms: standard deviation of the segments' means.
        num_bytes: of the observations of the whole.
    """

    num_samples: int
    core_hours: float
    core_hours_error: float
    cpu_ms_per_frame: float
    spread_ms: float
    num_bytes: float


def pilot_of(works: Sequence[Work], num: int) -> list[Work]:
    """Return segments spread over the videos: of as many equal parts one each, drawn with a fixed seed."""
    num = min(num, len(works))
    if num == 0:
        return []
    draw = random.Random(_SEED)
    starts = [len(works) * number // num for number in range(num + 1)]
    return [works[draw.randrange(start, end)] for start, end in pairwise(starts)]


def samples_of(store: Store, works: Sequence[Work]) -> list[Sample]:
    """Return the samples of finished segments; others are left out."""
    entries = segment_files(store)
    there = [work for work in works if work.name in entries]
    found = zip(there, abouts_of(store, there), strict=True)
    return samples_from([(work, about) for work, about in found if about is not None], entries)


def samples_from(done: Iterable[tuple[Work, SegmentAbout]], entries: Mapping[str, Entry]) -> list[Sample]:
    """Return the samples of finished segments with their descriptions; `entries` are those of their files."""
    samples = [
        Sample(max(0, about.end.num_taken - work.segment.first), about.cpu_s, entries[work.name].size)
        for work, about in done
    ]
    return [sample for sample in samples if sample.num_frames]


def estimate(samples: Sequence[Sample], num_frames: int) -> Estimate | None:
    """Return the estimate for so many frames; None without a sample.

    The error is that of a ratio estimator (Cochran, Sampling Techniques, 6.4): segments differ in their number of
    frames, and in how many faces they show.
    """
    total = sum(sample.num_frames for sample in samples)
    if not total:
        return None
    ratio, num = sum(sample.cpu_s for sample in samples) / total, len(samples)
    error, spread = math.inf, math.inf
    if num > 1:
        rests = [sample.cpu_s - ratio * sample.num_frames for sample in samples]
        mean_frames = total / num
        error = math.sqrt(sum(rest * rest for rest in rests) / (num - 1) / num) / mean_frames
        each = [sample.cpu_s / sample.num_frames for sample in samples]
        spread = math.sqrt(sum((one - sum(each) / num) ** 2 for one in each) / (num - 1))
    per_frame = sum(sample.num_bytes for sample in samples) / total
    hours = num_frames / 3600
    return Estimate(num, ratio * hours, error * hours, ratio * 1000, spread * 1000, per_frame * num_frames)
