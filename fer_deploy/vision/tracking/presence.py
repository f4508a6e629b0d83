"""Presence: collect the people of a run, their visible time and their emotions."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from fer_deploy.vision.types import FrameResult

MOST_PEOPLE: Final = 1000
"""Limit of stored people, so that a camera may run for weeks; those visible longest are stored."""
_LONGEST_FRAME_S: Final = 1.0
"""A frame counts for the time until the next one, but at most for this: after a longer gap the camera was away."""
_GONE_S: Final = 60.0
"""Tracks unseen for longer never continue; `keep_s` is at most this."""


@dataclass
class PersonPresence:
    """One person over the run.

    Attributes:
        source: number of the source.
        number: number of the person within the source, from 1; None for a passer-by.
        first_s: when the first frame with the face begins, in seconds of the recording or stream.
        last_s: when the last one ends.
        visible_s: seconds in which the face was visible, at most from first_s to last_s.
        num_frames: frames in which the face was visible.
        shown_s: seconds by shown label, including "unsure" and "unreadable".
    """

    source: int
    number: int | None
    first_s: float
    last_s: float
    visible_s: float = 0.0
    num_frames: int = 0
    shown_s: dict[str, float] = field(default_factory=dict)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the visible time for each shown label, the longest first; the sum is 1."""
        ordered = sorted(self.shown_s.items(), key=lambda item: -item[1])
        return {label: seconds / self.visible_s for label, seconds in ordered if seconds > 0}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "source": self.source,
            "person": self.number,
            "first_s": round(self.first_s, 4),
            "last_s": round(self.last_s, 4),
            "visible_s": round(self.visible_s, 4),
            "num_frames": self.num_frames,
            "shares": {label: round(share, 4) for label, share in self.shares.items()},
        }


def _add_time(person: PersonPresence, label: str, seconds: float) -> None:
    person.visible_s += seconds
    person.last_s += seconds
    person.shown_s[label] = person.shown_s.get(label, 0.0) + seconds


class Presence:
    """Collects the people of a run, in bounded memory. Used by one thread at a time.

    Attributes:
        num_passers_by: tracks that were followed too briefly to get a number.
        num_forgotten: people beyond `MOST_PEOPLE`.
        num_photos: separate pictures; people are not tracked from one to the next.
        shown_in_photos: faces in them by what was shown.
    """

    def __init__(self) -> None:
        """Start without people."""
        self.num_passers_by = self.num_forgotten = self.num_photos = 0
        self.shown_in_photos: Counter[str] = Counter()
        self._tracks: dict[tuple[int, int], PersonPresence] = {}
        self._last: dict[int, tuple[float, list[tuple[PersonPresence, str]]]] = {}
        self._frame_s: dict[int, float] = {}

    def add(self, result: FrameResult) -> None:
        """Count one frame; call it with each source's frames in order."""
        frame = result.frame
        if frame.is_photo:
            self.num_photos += 1
            self.shown_in_photos.update(face.shown_label for face in result.faces)
            return
        self._end_last_frame(frame.source, frame.time_s)
        here = []
        for face in result.faces:
            key = frame.source, face.face.track_id
            person = self._tracks.setdefault(key, PersonPresence(frame.source, None, frame.time_s, frame.time_s))
            person.number, person.last_s = face.person, frame.time_s
            person.num_frames += 1
            here.append((person, face.shown_label))
        self._last[frame.source] = frame.time_s, here
        if len(self._tracks) > MOST_PEOPLE:
            self._forget(frame.source, frame.time_s)

    def people(self) -> list[PersonPresence]:
        """Return the people with a number, ordered by source and number."""
        people = [person for person in self._all() if person.number is not None]
        return sorted(people, key=lambda person: (person.source, person.number or 0))

    def passers_by(self) -> int:
        """Return the number of tracks that were followed too briefly, including those visible now."""
        return self.num_passers_by + sum(person.number is None for person in self._tracks.values())

    def _all(self) -> list[PersonPresence]:
        """Return all people; the last frame, which has no next one, counts for as long as the previous one."""
        return [self._with_last_frame(person) for person in self._tracks.values()]

    def _with_last_frame(self, person: PersonPresence) -> PersonPresence:
        copy = PersonPresence(**{**vars(person), "shown_s": dict(person.shown_s)})
        for one, label in self._last[person.source][1]:
            if one is person:
                _add_time(copy, label, self._frame_s.get(person.source, 0.0))
        return copy

    def _end_last_frame(self, source: int, time_s: float) -> None:
        if source not in self._last:
            return
        before_s, people = self._last[source]
        self._frame_s[source] = min(max(time_s - before_s, 0.0), _LONGEST_FRAME_S)
        for person, label in people:
            _add_time(person, label, self._frame_s[source])

    def _forget(self, source: int, time_s: float) -> None:
        """Drop passers-by of the source that are gone, then the people visible for the shortest time."""
        gone = [
            (key, person)
            for key, person in self._tracks.items()
            if key[0] == source and abs(time_s - person.last_s) > _GONE_S
        ]
        for key, person in gone:
            if person.number is None:
                self.num_passers_by += 1
                del self._tracks[key]
        known = [(person.visible_s, key) for key, person in gone if key in self._tracks]
        for _, key in sorted(known)[: max(0, len(self._tracks) - MOST_PEOPLE)]:
            self.num_forgotten += 1
            del self._tracks[key]
