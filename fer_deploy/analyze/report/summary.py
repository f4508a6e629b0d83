"""Summary: the content of summary.json, which describes an analyzed video."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.report.people_seen import PersonSeen
from fer_deploy.analyze.report.software import software_versions
from fer_deploy.durations import duration_text
from fer_deploy.errors import ConfigError, FerDeployError
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.vision.tracking.baseline import not_calm_text
from fer_deploy.vision.tracking.person_numbers import FOLLOWED_S

if TYPE_CHECKING:
    from fer_deploy.analyze.people.grouping import Group


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(_Frozen):
    """One person: a face that was never lost for longer than `keep_s`.

    Attributes:
        number: from 1 without gaps. Unless people were named, it is that of the annotated video and of the tables.
        track: number of the track in the tables; the first one, if several were named alike.
        name: given by people.csv; else empty.
        tracks: all tracks; empty if it is the one of `track`.
        numbers: `person` in the tables and number in the annotated video; empty if it is `number`.
        first_s, last_s: when the first frame with the face begins and the last one ends, in seconds of the video.
        visible_s: seconds in which the face was visible; a frame counts until the next one.
        num_faces: frames in which the face was visible.
        shares: share of `visible_s` for each shown label, including "unsure" and "unreadable"; the sum is 1.
        flags: share of `visible_s` with each quality flag; flags without a frame are left out.
    """

    number: int
    track: int
    first_s: float
    last_s: float
    visible_s: float
    num_faces: int
    shares: dict[str, float]
    flags: dict[str, float] = {}
    name: str = ""
    tracks: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """The name, or the word person with the number."""
        return self.name or f"person {self.number}"

    @property
    def all_tracks(self) -> tuple[int, ...]:
        """Numbers of all tracks in the tables."""
        return self.tracks or (self.track,)


class PassersBy(_Frozen):
    """All tracks that were followed for less than `below_s` seconds, together."""

    below_s: float = FOLLOWED_S
    num_tracks: int = 0
    num_faces: int = 0


class Subject(NamedTuple):
    """Subject of an analysis: the video's file, descriptions of engine and detector, the classifier's labels, notes."""

    video: Path
    engine: str
    detector: str
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Summary(_Frozen):
    """Numbers of a video's analysis.

    Attributes:
        video: name of the file.
        engine: description of model and provider.
        detector: description of the detector; empty in summaries of older versions.
        duration_s: end of the last frame, in seconds of the video; without --end that is the video's duration.
        start_s: when the first analyzed frame begins; 0 without --start.
        num_size_changes: changes of resolution within the video.
        notes: facts for the user about how the video was read.
        trouble: fault at the video's end; empty if there is none.
        run: short name of the fingerprint, as in the last column of all tables; empty in those of older versions.
        event_notes: events and ranges that were left out of the segments and intervals, and ranges of a person whose
            number is another one in the tables.
        software: versions at the end of the analysis, by package.
        tables: SHA-256 of each table in the folder, by file name.
        inputs: SHA-256 of the files of events, participants, exclusions and people that the results were computed with.
        num_faces_dropped: faces of people that people.csv drops.
    """

    video: str
    engine: str
    detector: str = ""
    labels: tuple[str, ...]
    duration_s: float
    start_s: float = 0.0
    fps: float
    picture_size: tuple[int, int]
    num_size_changes: int
    notes: tuple[str, ...] = ()
    trouble: str
    accounting: Accounting
    people: tuple[Person, ...]
    passers_by: PassersBy
    num_faces_dropped: int = 0
    fingerprint: Fingerprint
    run: str = ""
    event_notes: tuple[str, ...] = ()
    software: dict[str, str] = {}
    tables: dict[str, str] = {}
    inputs: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The video's file name."""
        return Path(self.video).name

    @property
    def num_faces_of_people(self) -> int:
        """Number of faces of all people, including passers-by."""
        return sum(person.num_faces for person in self.people) + self.passers_by.num_faces

    def with_people(
        self, seen: Sequence[PersonSeen], groups: Sequence["Group"], *, num_faces_dropped: int
    ) -> "Summary":
        """Return the summary with people who were named, merged or dropped.

        Args:
            seen: all that are not dropped, with the first track and the number of their group.
            groups: in the order of their numbers.
            num_faces_dropped: faces of those who are dropped.
        """
        by_track = {person.track: person for person in seen}
        people = [
            _person(group.number, by_track[group.tracks[0]]).model_copy(
                update={"name": group.name, "tracks": group.tracks, "numbers": group.numbers}
            )
            for group in groups
        ]
        brief = [person for person in seen if person.number is None]
        return self.model_copy(
            update={
                "people": tuple(people),
                "passers_by": PassersBy(num_tracks=len(brief), num_faces=sum(person.num_frames for person in brief)),
                "num_faces_dropped": num_faces_dropped,
            }
        )

    @classmethod
    def load(cls, path: Path) -> "Summary | None":
        """Read the summary of a finished analysis; return None if there is none.

        Raises:
            ConfigError: it is damaged, or of another version.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValidationError) as err:
            raise ConfigError(f"{path} is not a summary of this version. Fix: --restart, or another --out") from err

    @classmethod
    def of(cls, subject: Subject, end: Checkpoint, seen: list[PersonSeen]) -> "Summary":
        """Create the summary of a finished run."""
        numbered = [(person.number, person) for person in seen if person.number is not None]
        people = [_person(number, person) for number, person in numbered]
        brief = [person for person in seen if person.number is None]
        return cls(
            video=subject.video.name,
            engine=subject.engine,
            detector=subject.detector,
            labels=subject.labels,
            duration_s=rounded_until_s(end),
            start_s=round(end.start_s, 4),
            fps=end.fps,
            picture_size=end.picture_size,
            num_size_changes=end.num_size_changes,
            trouble=without_folders_in_text(end.trouble),
            notes=(
                *map(without_folders_in_text, end.notes),
                *_early_end(end),
                *_not_calm(end, numbered),
                *subject.notes,
            ),
            accounting=end.accounting,
            people=tuple(sorted(people, key=lambda person: person.number)),
            passers_by=PassersBy(num_tracks=len(brief), num_faces=sum(person.num_frames for person in brief)),
            fingerprint=end.fingerprint,
            run=end.fingerprint.run,
            software=software_versions(),
        )


class Outcome(NamedTuple):
    """Outcome of one of several videos: a summary, or the failure."""

    video: Path
    folder: Path
    summary: Summary | None
    failure: FerDeployError | None = None


def _early_end(end: Checkpoint) -> list[str]:
    """Return a note if the video ends more than a frame before the range."""
    wanted_s = end.fingerprint.settings.get("end")
    if wanted_s is None or end.is_cut or end.until_s > wanted_s - 1 / end.fps:
        return []
    return [f"ends with the video at {duration_text(end.until_s)}"]


def _not_calm(end: Checkpoint, people: Sequence[tuple[int, PersonSeen]]) -> list[str]:
    """Return a note on each person whose calm stretch was not calm."""
    shares = {int(track): share for track, share in ((end.people or {}).get("smoothing", {}).get("lively", {})).items()}
    found = [(number, shares[person.track]) for number, person in people if person.track in shares]
    return [
        f"has a wrong baseline: person {number} (in tables and video) {not_calm_text(share)}"
        for number, share in sorted(found)
    ]


def _person(number: int, person: PersonSeen) -> Person:
    return Person(
        number=number,
        track=person.track,
        first_s=round(person.first_s, 4),
        last_s=round(person.last_s, 4),
        visible_s=round(person.visible_s, 4),
        num_faces=person.num_frames,
        shares=_shares(person.shown_s, person.visible_s),
        flags=_shares(person.flagged_s, person.visible_s),
    )


def _shares(seconds: Mapping[str, float], visible_s: float) -> dict[str, float]:
    return {name: round(one / visible_s, 4) for name, one in sorted(seconds.items())} if visible_s else {}


def rounded_until_s(end: Checkpoint) -> float:
    """Return when the results end, as all of them have it: times in tables have four decimals."""
    return round(end.until_s, 4)
