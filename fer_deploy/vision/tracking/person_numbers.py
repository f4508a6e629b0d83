"""PersonNumbers: number people 1, 2, 3 and so on, without gaps, for display.

A track begins with each detection, and many tracks end after a frame or two. If each got a number, two people could
have the numbers 4 and 17. So a track gets its number when it has been followed for `FOLLOWED_S`.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict

FOLLOWED_S: Final = 1.0
"""Time from a track's first frame until it becomes a person; a shorter track is a passer-by or a false detection."""
_ROUNDING_S: Final = 1e-6
"""Tolerance: in floating point, ten times a tenth of a second is slightly less than a second."""


class Followed(BaseModel):
    """One track: when it was first and last seen, in seconds of the recording, and its number or None."""

    model_config = ConfigDict(extra="forbid")

    first_s: float
    last_s: float
    number: int | None = None


class PersonNumbers(BaseModel):
    """Numbers of one source's people; can be saved and restored as JSON.

    Attributes:
        next_number: number of the next person.
        tracks: recently seen tracks by their number.
    """

    model_config = ConfigDict(extra="forbid")

    next_number: int = 1
    tracks: dict[int, Followed] = {}

    def number(self, track_id: int, time_s: float) -> int | None:
        """Record that a track is seen at `time_s` and return its number; None if it has none yet."""
        track = self.tracks.setdefault(track_id, Followed(first_s=time_s, last_s=time_s))
        track.last_s = time_s
        if track.number is None and time_s - track.first_s >= FOLLOWED_S - _ROUNDING_S:
            track.number = self.next_number
            self.next_number += 1
        return track.number

    def forget(self, time_s: float, *, keep_s: float) -> None:
        """Drop the tracks that were last seen more than `keep_s` seconds before or after a time."""
        self.tracks = {known: track for known, track in self.tracks.items() if abs(time_s - track.last_s) <= keep_s}
