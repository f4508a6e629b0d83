"""Summarize each person of a video from the rows of its table: time visible and emotions. Memory is constant."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.quality import QualityFlag
from fer_deploy.vision.types import UNREADABLE, UNSURE

MAX_BINS: Final = 4000
"""Of the timelines in the page, which can be zoomed."""
COARSE_BINS: Final = 400
"""At most this many are in the picture; MAX_BINS is a multiple of it."""
_FRAMES_PER_BIN: Final = 2
"""With one, some bins would have no frame, and the curve gaps."""
UNSURE_BIT: Final = 15
"""Of `Timeline.flags`; the quality flags have the lower bits."""
_BIT_OF: Final = {flag.value: 1 << place for place, flag in enumerate(QualityFlag)}


class Rows(NamedTuple):
    """Some rows of a table, one a face, in the order of the video.

    Attributes:
        time_s: (N,) float64.
        track: (N,) int64.
        person: (N,) int64, 0 where the track has no number yet.
        shown: (N,) of str, the shown label.
        flags: (N,) of str, names of quality flags with a space between.
        probs: (N, C) float64, smoothed.
    """

    time_s: NDArray[np.float64]
    track: NDArray[np.int64]
    person: NDArray[np.int64]
    shown: NDArray[np.object_]
    flags: NDArray[np.object_]
    probs: NDArray[np.float64]


@dataclass
class PersonSeen:
    """One track over the video.

    Attributes:
        track: number of the track in the tables.
        number: number of the person; None for a passer-by.
        first_s, last_s: times of the first and the last frame in which the face was visible.
        num_frames: frames in which it was visible.
        num_shown: frames by shown label, including `UNSURE` and `UNREADABLE`.
        num_flagged: frames by quality flag.
    """

    track: int
    number: int | None
    first_s: float
    last_s: float
    num_frames: int = 0
    num_shown: Counter[str] = field(default_factory=Counter)
    num_flagged: Counter[str] = field(default_factory=Counter)


class Timeline(NamedTuple):
    """What a person showed over the whole video, in T bins of equal length.

    Attributes:
        edges_s: (T + 1,) borders of the bins.
        shares: (T, C + 1), each row sums to 1: the smoothed probabilities where the face was readable, and last the
            share of frames where it was not. NaN where the face was not visible.
        flags: (T,) uint16, the quality flags of any frame of the bin: bit k is the k-th `QualityFlag`. Bit
            `UNSURE_BIT`: in half of the frames or more the shown label was "unsure".
        num_frames: (T,) frames in which the face was visible.
    """

    edges_s: NDArray[np.float64]
    shares: NDArray[np.float64]
    flags: NDArray[np.uint16]
    num_frames: NDArray[np.int64]

    def coarse(self) -> "Timeline":
        """Return the same in at most `COARSE_BINS` bins."""
        num = len(self.num_frames)
        if num <= COARSE_BINS:
            return self
        together = (COARSE_BINS, num // COARSE_BINS)
        frames = self.num_frames.reshape(together)
        sums = np.nan_to_num(self.shares).reshape(*together, -1) * frames[..., None]
        flags = np.bitwise_or.reduce(self.flags.reshape(together), axis=1)
        with np.errstate(invalid="ignore"):
            shares = sums.sum(axis=1) / frames.sum(axis=1)[:, None]
        return Timeline(self.edges_s[:: together[1]], shares, flags, frames.sum(axis=1))


def people_from_rows(batches: Iterable[Rows]) -> list[PersonSeen]:
    """Return all people, including passers-by, in the order of their tracks."""
    people: dict[int, PersonSeen] = {}
    for rows in batches:
        for track in np.unique(rows.track).tolist():
            here = rows.track == track
            times = rows.time_s[here]
            person = people.setdefault(track, PersonSeen(track, None, float(times[0]), float(times[-1])))
            person.number = int(rows.person[here][-1]) or person.number
            person.last_s = float(times[-1])
            person.num_frames += len(times)
            person.num_shown.update(rows.shown[here].tolist())
            person.num_flagged.update(flag for flags in rows.flags[here].tolist() for flag in flags.split())
    return [people[track] for track in sorted(people)]


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
    counts = {track: np.zeros(num_bins, np.int64) for track in tracks}
    num_unsure = {track: np.zeros(num_bins, np.int64) for track in tracks}
    flags = {track: np.zeros(num_bins, np.uint16) for track in tracks}
    for rows in batches:
        is_unreadable = (rows.shown == UNREADABLE)[:, None]
        shares = np.hstack([np.where(is_unreadable, 0.0, rows.probs), is_unreadable])
        bins = np.clip(np.searchsorted(edges_s, rows.time_s, side="right") - 1, 0, num_bins - 1)
        bits = _bits(rows.flags)
        for track in set(np.unique(rows.track).tolist()) & sums.keys():
            here = rows.track == track
            np.add.at(sums[track], bins[here], shares[here])
            np.add.at(counts[track], bins[here], 1)
            np.add.at(num_unsure[track], bins[here], rows.shown[here] == UNSURE)
            np.bitwise_or.at(flags[track], bins[here], bits[here])
    for track in tracks:
        is_unsure = (num_unsure[track] > 0) & (2 * num_unsure[track] >= counts[track])
        flags[track] |= (is_unsure.astype(np.uint16) << np.uint16(UNSURE_BIT)).astype(np.uint16)
    with np.errstate(invalid="ignore"):
        return {
            track: Timeline(edges_s, sums[track] / counts[track][:, None], flags[track], counts[track])
            for track in tracks
        }


def _num_bins(num_frames: int) -> int:
    num = min(MAX_BINS, max(1, num_frames // _FRAMES_PER_BIN))
    return num if num <= COARSE_BINS else num - num % COARSE_BINS


def _bits(flags: NDArray[np.object_]) -> NDArray[np.uint16]:
    """Return the flags of each face, (N,), as bits; names of other versions are left out."""
    known = {text: sum(_BIT_OF.get(name, 0) for name in text.split()) for text in set(flags.tolist())}
    return np.asarray([known[text] for text in flags.tolist()], dtype=np.uint16)
