"""Agreement: how well the results of videos agree with the codes of a person."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_deploy.agreement.codes import Code, codes_from_csv
from fer_deploy.agreement.matching import NO_FACE, Moment, moments
from fer_deploy.agreement.measures import Estimate, Measures, measures_from
from fer_deploy.agreement.tables import VideoResult, results_at
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.errors import ConfigError
from fer_deploy.live.fingerprint.run_fingerprint import RunFingerprint
from fer_deploy.vision.types import UNREADABLE, UNSURE

KINDS: Final = ("raw", "shown")


class Coverage(NamedTuple):
    """How many coded moments have a result.

    Attributes:
        num_moments: coded frames of faces.
        num_no_face: without a face in the results.
        num_unreadable, num_unsure: with a face whose shown label is "unreadable" or "unsure".
    """

    num_moments: int
    num_no_face: int
    num_unreadable: int
    num_unsure: int


class Compared(NamedTuple):
    """Agreement of the raw or of the shown labels.

    Attributes:
        num: moments with a label on both sides; the measures are over these.
        measures: kappa, accuracy and recalls.
        columns: labels, and then "unsure", "unreadable" and "no face" where the results can have them.
        confusion: (C, len(columns)) counts: a row for each code.
    """

    num: int
    measures: Measures
    columns: tuple[str, ...]
    confusion: NDArray[np.int64]


class Agreement(NamedTuple):
    """Agreement of results with codes.

    Attributes:
        videos: their names.
        labels: of the model.
        num_people: whose faces were coded and found.
        coverage: how many coded moments have a result.
        compared: by kind: "raw", the network's label of the frame; "shown", what report and video show.
        num_samples, seed: of the bootstrap.
        runs: short name of the run of each video, empty where its tables do not say.
        notes: what differs between the runs of the videos, and whose people have other numbers in report and tables.
    """

    videos: tuple[str, ...]
    labels: tuple[str, ...]
    num_people: int
    coverage: Coverage
    compared: dict[str, Compared]
    num_samples: int
    seed: int
    runs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the content of --json."""
        return {
            "videos": list(self.videos),
            "runs": list(self.runs),
            "notes": list(self.notes),
            "labels": list(self.labels),
            "num_people": self.num_people,
            "coverage": self.coverage._asdict(),
            "bootstrap": {"by": "person", "num_samples": self.num_samples, "seed": self.seed, "level": 0.95},
            **{kind: _compared_json(one) for kind, one in self.compared.items()},
        }


def agreement(results: Sequence[Path], codes: Path, *, num_samples: int, seed: int) -> Agreement:
    """Compare results with codes.

    Args:
        results: see `results_at`.
        codes: see `codes_from_csv`.
        num_samples: of the bootstrap by person.
        seed: of the bootstrap.

    Raises:
        ConfigError: a file cannot be read, a code fits no result, or nothing can be compared.
    """
    found = results_at(results)
    labels = found[0].labels
    known = codes_from_csv(codes)
    coded = moments(known, found, codes)
    if not coded:
        raise ConfigError(f"{codes} has no code to compare: all are {UNSURE} or {UNREADABLE}. Fix: codes with labels")
    shown = Counter(moment.shown for moment in coded)
    counts = Coverage(len(coded), *(shown[name] for name in (NO_FACE, UNREADABLE, UNSURE)))
    if counts.num_no_face == counts.num_moments:
        raise ConfigError(
            f"none of the {counts.num_moments} coded moments in {codes} has a face in the results. "
            "Fix: check person, track, box and time against faces.csv"
        )
    people = sorted({moment.who for moment in coded if moment.who})
    compared = {kind: _compare(coded, kind, labels, people, num_samples, seed) for kind in KINDS}
    return Agreement(
        tuple(one.name for one in found),
        labels,
        len(people),
        counts,
        compared,
        num_samples,
        seed,
        runs=tuple(one.run for one in found),
        notes=(*_notes(found), *_notes_on_numbers(known, found)),
    )


def _notes(results: Sequence[VideoResult]) -> tuple[str, ...]:
    """Return a note on each video whose run had another model, setting or version than the first one's."""
    known = [(one.name, one.fingerprint) for one in results if one.fingerprint is not None]
    if not known:
        return ()
    first, before = known[0][0], _without_video(known[0][1])
    told = [(name, _without_video(print_of).differences(before)) for name, print_of in known[1:]]
    return tuple(
        f"{name} was not analyzed as {first} was: {', '.join(differing)}" for name, differing in told if differing
    )


def _notes_on_numbers(codes: Sequence[Code], results: Sequence[VideoResult]) -> list[str]:
    """Return a note on each video whose people are coded by number, and have others in the tables."""
    by_number = {code.video for code in codes if code.person is not None}
    return [
        f"{one.name}: people.csv has changed the numbers of people; a person in the codes is that of the report, and "
        "not that of tables and video"
        for one in results
        if one.is_renumbered and by_number & {"", *one.names}
    ]


def _without_video(print_of: RunFingerprint) -> Fingerprint:
    return Fingerprint.model_validate(print_of.of_numbers().model_dump() | {"video": ""})


def _compare(
    coded: Sequence[Moment], kind: str, labels: tuple[str, ...], people: Sequence[str], num_samples: int, seed: int
) -> Compared:
    others = (NO_FACE,) if kind == "raw" else (UNSURE, UNREADABLE, NO_FACE)
    columns = (*labels, *others)
    row_of, column_of, place_of = ({name: i for i, name in enumerate(names)} for names in (labels, columns, people))
    by_person = np.zeros((len(people), len(labels), len(labels)), dtype=np.int64)
    confusion = np.zeros((len(labels), len(columns)), dtype=np.int64)
    for moment in coded:
        row, column = row_of[moment.code], column_of[getattr(moment, kind)]
        confusion[row, column] += 1
        if column < len(labels):
            by_person[place_of[moment.who], row, column] += 1
    has_any = by_person.sum(axis=(1, 2)) > 0  # a person without a comparable moment adds nothing to a sample
    measures = measures_from(by_person[has_any], labels, num_samples=num_samples, seed=seed)
    return Compared(int(by_person.sum()), measures, columns, confusion)


def _compared_json(one: Compared) -> dict[str, Any]:
    measures = one.measures
    return {
        "num_compared": one.num,
        "kappa": _estimate_json(measures.kappa),
        "accuracy": _estimate_json(measures.accuracy),
        "recall": {label: _estimate_json(estimate) for label, estimate in measures.recall.items()},
        "columns": list(one.columns),
        "confusion": one.confusion.tolist(),
    }


def _estimate_json(estimate: Estimate) -> dict[str, float | None]:
    return estimate._asdict()
