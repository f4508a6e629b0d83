"""Stacks: convert a timeline to stacked areas for drawing."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.analyze.report.people_seen import Timeline
from fer_deploy.durations import duration_text
from fer_deploy.vision.palette import UNREADABLE_COLOR, color_at
from fer_deploy.vision.types import UNREADABLE

_STEPS_S: Final = (
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1800.0,
    3600.0,
    7200.0,
)
SHORT_S: Final = 12.0
"""Shorter videos have an axis with tenths of seconds."""


class Stack(NamedTuple):
    """An interval in which the face was visible.

    Attributes:
        times_s: (N,) seconds, increasing.
        levels: (C + 2, N) cumulative shares: label c lies between rows c and c + 1, unreadable between the last two.
    """

    times_s: NDArray[np.float64]
    levels: NDArray[np.float64]


def stacks_from_timeline(timeline: Timeline) -> Iterator[Stack]:
    """Yield the intervals in order; each spans from its first bin's left edge to its last bin's right edge."""
    edges_s, shares = timeline.edges_s, timeline.shares
    visible = np.concatenate([[False], ~np.isnan(shares[:, 0]), [False]])
    changes = np.flatnonzero(visible[1:] != visible[:-1])
    for start, end in zip(changes[::2], changes[1::2], strict=True):
        centers_s = (edges_s[start:end] + edges_s[start + 1 : end + 1]) / 2
        times_s = np.concatenate([[edges_s[start]], centers_s, [edges_s[end]]])
        part = np.concatenate([shares[start : start + 1], shares[start:end], shares[end - 1 : end]])
        levels = np.concatenate([np.zeros((1, len(part))), np.cumsum(part, axis=1).T])
        yield Stack(times_s, levels)


def colors_of(labels: Sequence[str]) -> dict[str, str]:
    """Return the color of each label, chosen by its index, and last that of unreadable faces."""
    return {**{label: color_at(index) for index, label in enumerate(labels)}, UNREADABLE: UNREADABLE_COLOR}


def count_text(num: int, one: str, several: str | None = None) -> str:
    """Return a count with its noun: 1 frame, 12,345 frames; `several` is an irregular plural."""
    return f"{num:,} {one if num == 1 else several or f'{one}s'}"


def tick_step_s(duration_s: float, most: int) -> float:
    """Return a round interval between ticks, such as 5 s or 1 min, for at most `most` ticks."""
    return next((step for step in _STEPS_S if duration_s / step < most), 86_400.0)


def tick_text(seconds: float, duration_s: float) -> str:
    """Return the text of a tick, with tenths of seconds for a short video."""
    return duration_text(seconds, decimals=1 if duration_s < SHORT_S else 0)
