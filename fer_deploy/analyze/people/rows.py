"""Rows: faces of an analysis as arrays, with the time that each of their frames lasts. Needs no Parquet."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rows(NamedTuple):
    """Some rows of the table of faces, in the order of the video.

    Attributes:
        place: (N,) int64, which of the analyzed frames it is, from 0.
        start_s, end_s: (N,) float64, when the frame begins, and when the next one does; the end is exclusive.
        track: (N,) int64.
        person: (N,) int64, 0 where the track has no number yet.
        shown: (N,) of str, the shown label, "unsure" or "unreadable".
        flags: (N,) of str, names of quality flags with a space between.
        probs: (N, C) float64, smoothed.
    """

    place: NDArray[np.int64]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    track: NDArray[np.int64]
    person: NDArray[np.int64]
    shown: NDArray[np.object_]
    flags: NDArray[np.object_]
    probs: NDArray[np.float64]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """The time (N,) that each row counts for."""
        return self.end_s - self.start_s

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Return the rows with a True in `chosen`, (N,)."""
        return Rows(
            place=self.place[chosen],
            start_s=self.start_s[chosen],
            end_s=self.end_s[chosen],
            track=self.track[chosen],
            person=self.person[chosen],
            shown=self.shown[chosen],
            flags=self.flags[chosen],
            probs=self.probs[chosen],
        )
