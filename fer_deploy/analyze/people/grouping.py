"""Grouping: which tracks are one person, what the person is called, and who is dropped."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fer_deploy.analyze.people.people_file import Entry, PeopleFile
from fer_deploy.analyze.people.rows import Rows
from fer_deploy.analyze.report.people_seen import PersonSeen
from fer_deploy.errors import ConfigError


@dataclass(frozen=True)
class Group:
    """One person after names were given.

    Attributes:
        number: from 1 without gaps.
        name: empty if none was given.
        tracks: numbers of its tracks, increasing; the first stands for all.
        numbers: of the person in the tables, increasing; empty for a passer-by who got a name.
    """

    number: int
    name: str
    tracks: tuple[int, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Grouping:
    """People of one video.

    Attributes:
        groups: in the order of their numbers.
        dropped: tracks that are left out.
    """

    groups: tuple[Group, ...]
    dropped: frozenset[int]

    @classmethod
    def of(cls, file: PeopleFile, video_names: Sequence[str], seen: Sequence[PersonSeen]) -> "Grouping":
        """Return the grouping of a video.

        Args:
            file: the names.
            video_names: that an entry may use for this video.
            seen: all tracks, as in the tables.

        Raises:
            ConfigError: an entry is about a person or track that is not in the video, or two are about the same.
        """
        entry_of: dict[int, Entry] = {}
        for entry in file.entries:
            if entry.video and entry.video not in video_names:
                continue
            track = _track_of(entry, seen, f"{file.path}, line {entry.line}", video_names[0])
            if track in entry_of:
                raise ConfigError(
                    f"{file.path}: lines {entry_of[track].line} and {entry.line} are about the same person of "
                    f"{video_names[0]}. Fix: one line for each person"
                )
            entry_of[track] = entry
        together: dict[str | int, list[PersonSeen]] = {}
        for person in seen:
            found = entry_of.get(person.track)
            if (found is None and person.number is not None) or (found is not None and not found.is_dropped):
                together.setdefault(found.name if found else person.track, []).append(person)
        ordered = sorted(together.items(), key=lambda item: _place(item[1]))
        groups = [_group(number, key, people) for number, (key, people) in enumerate(ordered, 1)]
        return cls(tuple(groups), frozenset(track for track, entry in entry_of.items() if entry.is_dropped))

    def applied(self, batches: Iterable[Rows]) -> Iterator[Rows]:
        """Yield rows with the first track and the number of each group, without those that are dropped.

        Raises:
            ConfigError: two tracks of a person are visible in the same frame.
        """
        first = {track: group.tracks[0] for group in self.groups for track in group.tracks}
        number = {group.tracks[0]: group.number for group in self.groups}
        names = {group.tracks[0]: group.name for group in self.groups}
        for rows in batches:
            kept = rows.where(~np.isin(rows.track, list(self.dropped)))
            if not len(kept.track):
                continue
            track = np.asarray([first.get(one, one) for one in kept.track.tolist()], dtype=np.int64)
            _require_one_face(kept, track.tolist(), names)
            person = np.asarray([number.get(one, 0) for one in track.tolist()], dtype=np.int64)
            yield kept._replace(track=track, person=person)


def _track_of(entry: Entry, seen: Sequence[PersonSeen], where: str, video: str) -> int:
    for person in seen:
        if entry.track == person.track or (entry.person is not None and entry.person == person.number):
            return person.track
    if entry.track is not None:
        raise ConfigError(f"{where}: {video} has no track {entry.track}. Fix: a track of faces.csv")
    num = sum(person.number is not None for person in seen)
    known = {0: "a track of faces.csv; nobody has a number", 1: "1, the only person"}.get(
        num, f"1 to {num}, as in faces.csv"
    )
    raise ConfigError(f"{where}: {video} has no person {entry.person}. Fix: {known}")


def _place(people: Sequence[PersonSeen]) -> tuple[int, int, int]:
    """Return the order of a group: people by their first number, then passers-by by their track."""
    numbers = [person.number for person in people if person.number is not None]
    return (not numbers, min(numbers, default=0), people[0].track)


def _group(number: int, key: str | int, people: Sequence[PersonSeen]) -> Group:
    numbers = tuple(sorted(person.number for person in people if person.number is not None))
    return Group(number, key if isinstance(key, str) else "", tuple(sorted(one.track for one in people)), numbers)


def _require_one_face(rows: Rows, after: Sequence[int], names: dict[int, str]) -> None:
    """Check that a person has at most one face in each frame; `after` has the track of each row in its group."""
    track_at: dict[tuple[int, int], int] = {}
    columns = rows.place.tolist(), rows.start_s.tolist(), rows.track.tolist()
    for place, time_s, track, person in zip(*columns, after, strict=True):
        other = track_at.setdefault((place, person), track)
        if other != track:
            raise ConfigError(
                f"tracks {other} and {track} are both named {names[person]!r}, and both are visible at {time_s:g} s. "
                "Fix: different names; one person has one face"
            )
