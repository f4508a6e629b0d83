"""Summarize each person of a video from the rows of its table: time visible and emotions. Memory is constant.

All shares are of time: a frame counts by the time until the next one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.analyze.people.rows import Rows
from fer_deploy.vision.quality import QualityFlag
from fer_deploy.vision.types import UNREADABLE, UNSURE

MAX_BINS: Final = 4000
"""Of the timelines in the page, which can be zoomed."""
COARSE_BINS: Final = 400
"""At most this many are in the picture; MAX_BINS is a multiple of it."""
UNSURE_BIT: Final = 15
"""Of `Timeline.flags`; the quality flags have the lower bits."""
_SHORTEST_S: Final = 1e-9
"""Less of a frame is an error of rounding."""
_BIT_OF: Final = {flag.value: 1 << place for place, flag in enumerate(QualityFlag)}


@dataclass
class PersonSeen:
    """One track over the video.

    Attributes:
        track: number of the track in the tables.
        number: number of the person; None for a passer-by.
        first_s, last_s: when the first frame with the face begins, and the last one ends.
        num_frames: frames in which it was visible.
        visible_s: seconds that these frames last.
        shown_s: seconds by shown label, including `UNSURE` and `UNREADABLE`.
        flagged_s: seconds by quality flag.
    """

    track: int
    number: int | None
    first_s: float
    last_s: float
    num_frames: int = 0
    visible_s: float = 0.0
    shown_s: dict[str, float] = field(default_factory=dict)
    flagged_s: dict[str, float] = field(default_factory=dict)


class Timeline(NamedTuple):
    """What a person showed over the whole video, in T bins of equal length.

    Attributes:
        edges_s: (T + 1,) borders of the bins.
        shares: (T, C + 1), each row sums to 1: the smoothed probabilities where the face was readable, and last the
            share of time where it was not. NaN where the face was not visible.
        flags: (T,) uint16, the quality flags of any frame of the bin: bit k is the k-th `QualityFlag`. Bit
            `UNSURE_BIT`: in half of the time or more the shown label was "unsure".
        visible_s: (T,) seconds in which the face was visible.
    """

    edges_s: NDArray[np.float64]
    shares: NDArray[np.float64]
    flags: NDArray[np.uint16]
    visible_s: NDArray[np.float64]

    def coarse(self) -> "Timeline":
        """Return the same in at most `COARSE_BINS` bins."""
        num = len(self.visible_s)
        if num <= COARSE_BINS:
            return self
        together = (COARSE_BINS, num // COARSE_BINS)
        seconds = self.visible_s.reshape(together)
        sums = np.nan_to_num(self.shares).reshape(*together, -1) * seconds[..., None]
        flags = np.bitwise_or.reduce(self.flags.reshape(together), axis=1)
        with np.errstate(invalid="ignore"):
            shares = sums.sum(axis=1) / seconds.sum(axis=1)[:, None]
        return Timeline(self.edges_s[:: together[1]], shares, flags, seconds.sum(axis=1))


def people_from_rows(batches: Iterable[Rows]) -> list[PersonSeen]:
    """Return all people, including passers-by, in the order of their tracks."""
    people: dict[int, PersonSeen] = {}
    for rows in batches:
        for track in np.unique(rows.track).tolist():
            mine = rows.where(rows.track == track)
            person = people.setdefault(track, PersonSeen(track, None, float(mine.start_s[0]), float(mine.end_s[-1])))
            person.number = int(mine.person[-1]) or person.number
            person.last_s = float(mine.end_s[-1])
            person.num_frames += len(mine.track)
            person.visible_s += float(mine.seconds.sum())
            _add_seconds(person.shown_s, mine.shown, mine.seconds, lambda shown: [shown])
            _add_seconds(person.flagged_s, mine.flags, mine.seconds, str.split)
    return [people[track] for track in sorted(people)]


def _add_seconds(
    known: dict[str, float],
    texts: NDArray[np.object_],
    seconds: NDArray[np.float64],
    names_of: Callable[[str], Sequence[str]],
) -> None:
    """Add the seconds (N,) of each name that a text (N,) stands for."""
    for text in set(texts.tolist()):
        total = float(seconds[texts == text].sum())
        for name in names_of(text):
            known[name] = known.get(name, 0.0) + total


def timelines_from_rows(
    batches: Iterable[Rows],
    tracks: Sequence[int],
    *,
    end_s: float,
    num_frames: int,
    num_labels: int,
    start_s: float = 0.0,
) -> dict[int, Timeline]:
    """Return the timelines of some people.

    Args:
        batches: all rows.
        tracks: numbers of these people.
        end_s: when the last frame ends.
        num_frames: that were analyzed.
        num_labels: of the classifier.
        start_s: when the first frame begins.
    """
    num_bins = _num_bins(num_frames)
    edges_s = np.linspace(start_s, max(end_s, start_s + 1e-3), num_bins + 1)
    sums = {track: np.zeros((num_bins, num_labels + 1)) for track in tracks}
    visible_s, unsure_s = ({track: np.zeros(num_bins) for track in tracks} for _ in range(2))
    flags = {track: np.zeros(num_bins, np.uint16) for track in tracks}
    for rows in batches:
        is_unreadable = (rows.shown == UNREADABLE)[:, None]
        shares = np.hstack([np.where(is_unreadable, 0.0, rows.probs), is_unreadable])
        bits = _bits(rows.flags)
        for track in set(np.unique(rows.track).tolist()) & sums.keys():
            row, place, seconds = _spread(rows, np.flatnonzero(rows.track == track), edges_s)
            np.add.at(sums[track], place, shares[row] * seconds[:, None])
            np.add.at(visible_s[track], place, seconds)
            np.add.at(unsure_s[track], place, seconds * (rows.shown[row] == UNSURE))
            np.bitwise_or.at(flags[track], place, bits[row])
    for track in tracks:
        is_unsure = (unsure_s[track] > 0) & (2 * unsure_s[track] >= visible_s[track] - _SHORTEST_S)
        flags[track] |= (is_unsure.astype(np.uint16) << np.uint16(UNSURE_BIT)).astype(np.uint16)
    with np.errstate(invalid="ignore"):
        return {
            track: Timeline(edges_s, sums[track] / visible_s[track][:, None], flags[track], visible_s[track])
            for track in tracks
        }


def _spread(
    rows: Rows, chosen: NDArray[np.int64], edges_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Divide the time of rows among the bins that their frames lie in: row, bin and seconds of each part, (M,)."""
    last = len(edges_s) - 2
    first_bin = np.clip(np.searchsorted(edges_s, rows.start_s[chosen], side="right") - 1, 0, last)
    last_bin = np.clip(np.searchsorted(edges_s, rows.end_s[chosen], side="left") - 1, first_bin, last)
    num = last_bin - first_bin + 1
    row = np.repeat(chosen, num)
    place = np.repeat(first_bin, num) + np.arange(num.sum()) - np.repeat(np.cumsum(num) - num, num)
    seconds = np.minimum(rows.end_s[row], edges_s[place + 1]) - np.maximum(rows.start_s[row], edges_s[place])
    counts = seconds > _SHORTEST_S
    return row[counts], place[counts], seconds[counts]


def _num_bins(num_frames: int) -> int:
    num = min(MAX_BINS, max(1, num_frames))
    return num if num <= COARSE_BINS else num - num % COARSE_BINS


def _bits(flags: NDArray[np.object_]) -> NDArray[np.uint16]:
    """Return the flags of each face, (N,), as bits; names of other versions are left out."""
    known = {text: sum(_BIT_OF.get(name, 0) for name in text.split()) for text in set(flags.tolist())}
    return np.asarray([known[text] for text in flags.tolist()], dtype=np.uint16)
