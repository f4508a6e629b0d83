"""PersonNumbers: the numbers that people see, 1, 2, 3 and so on without holes.

A track begins with whatever a detector takes for a face, and many are gone after a frame or two. If each took a number,
two people could be number 4 and number 17. So a track gets its number when it has been followed for `FOLLOWED_S`.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict

FOLLOWED_S: Final = 1.0
"""From a track's first frame to the one where it becomes a person; a shorter one is a passer-by or a mistake."""
_ROUNDING_S: Final = 1e-6
"""A tenth of a second, ten times, is less than a second by the last bit."""


class Followed(BaseModel):
    """One track: when it was first and last seen, in seconds of the recording, and its number once it has one."""

    model_config = ConfigDict(extra="forbid")

    first_s: float
    last_s: float
    number: int | None = None


class PersonNumbers(BaseModel):
    """The numbers of one source's people; as JSON it can be saved and restored.

    Attributes:
        next_number: for the next person.
        tracks: by track, those seen of late.
    """

    model_config = ConfigDict(extra="forbid")

    next_number: int = 1
    tracks: dict[int, Followed] = {}

    def number(self, track_id: int, time_s: float) -> int | None:
        """Return the number of a track that is seen at a time; None before it has one."""
        track = self.tracks.setdefault(track_id, Followed(first_s=time_s, last_s=time_s))
        track.last_s = time_s
        if track.number is None and time_s - track.first_s >= FOLLOWED_S - _ROUNDING_S:
            track.number = self.next_number
            self.next_number += 1
        return track.number

    def forget(self, time_s: float, *, keep_s: float) -> None:
        """Drop the tracks that were last seen more than `keep_s` seconds before or after a time."""
        self.tracks = {known: track for known, track in self.tracks.items() if abs(time_s - track.last_s) <= keep_s}
