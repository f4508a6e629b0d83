"""Run all searches of an audit, from quick to slow."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from fer_train.audit.config import AuditConfig
from fer_train.audit.duplicates import find_exact, number_images
from fer_train.audit.findings import KINDS, Finding
from fer_train.audit.near import find_near, find_near_pairs
from fer_train.audit.prediction_quality import PredictionQuality, measure_predictions
from fer_train.audit.predictions import Predictions
from fer_train.audit.quality import find_low_contrast, find_non_faces, gray_range
from fer_train.data.faces import Faces
from fer_train.errors import MissingDependencyError, SplitAbsentError

NO_VOTES = (
    "Non-faces: the search covered blank images only. Pictures of text or objects are found by votes: "
    "--ferplus fer2013new.csv"
)
NO_PREDICTIONS = (
    "Likely label errors: not done. They need predictions for faces that the model was not trained on: "
    "fer-train crossval, then this command with --predictions .../out_of_fold.npz"
)
NO_ROWS = (
    "exclude.csv was not written: fer-train train excludes faces by row number, and these image files have none. "
    "findings.csv gives the position in path order. To exclude rows, use fer2013.csv as --data"
)


@dataclass(frozen=True, eq=False)
class Audit:
    """Result of an audit.

    Attributes:
        faces: the audited data set.
        config: the settings of the audit.
        findings: ordered by kind as in `KINDS`, within a kind as on its contact sheet.
        num_predictions: number of faces with out-of-fold predictions; 0: no search for label errors.
        notes: what was not done and which command does it, one or two sentences each.
        prediction_quality: quality of the predictions; None without predictions.
    """

    faces: Faces
    config: AuditConfig
    findings: list[Finding]
    num_predictions: int
    notes: list[str]
    prediction_quality: PredictionQuality | None = None

    def of_kind(self, kind: str) -> list[Finding]:
        """Return the findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def is_held_back(self, kind: str) -> bool:
        """Return whether findings of this kind exclude no row although the config asks for it."""
        wanted = kind == "label_error" and kind in self.config.exclude_reasons
        return wanted and self.prediction_quality is not None and self.prediction_quality.fault != ""

    def excluded(self) -> dict[int, list[Finding]]:
        """Return the faces of the training split to exclude, by ascending index, with all their reasons."""
        reasons = [name for name in self.config.exclude_reasons if not self.is_held_back(name)]
        found: dict[int, list[Finding]] = {}
        for finding in self.findings:
            in_training = self.faces.splits[finding.index] == self.config.train_split
            if in_training and finding.kind in reasons:
                found.setdefault(finding.index, []).append(finding)
        return dict(sorted(found.items()))


def run_audit(
    faces: Faces,
    config: AuditConfig,
    *,
    predictions: Predictions | None = None,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Search `faces` (all splits) for every kind in `KINDS`.

    Args:
        faces: the data set, with FER+ votes if there are any.
        config: thresholds.
        predictions: out-of-fold predictions; None skips the search for label errors.
        on_block: called with (images done, images) by the search for near duplicates, which takes longest.

    Raises:
        SplitAbsentError: `config.train_split` has no face.
        MissingDependencyError: there are predictions but cleanlab is not installed.
        DataError: the predicted faces all have one label.
    """
    if not (faces.splits == config.train_split).any():
        there = ", ".join(f"{split} ({count:,})" for split, count in faces.counts().items())
        raise SplitAbsentError(
            f"nothing to clean: no split {config.train_split!r}. The data have {there}. Fix: --train-split NAME"
        )
    findings = [] if predictions is None else _find_label_errors(faces, predictions, config)
    quality = None if predictions is None else measure_predictions(faces, predictions, len(findings), config)
    ranges = gray_range(faces.images)
    findings += find_non_faces(faces, ranges, config.blank_range)
    findings += find_low_contrast(ranges, config.blank_range, config.contrast_range)
    image_numbers = number_images(faces)
    findings += find_exact(faces, image_numbers, config.train_split)
    unique_images = faces.images[np.unique(image_numbers, return_index=True)[1]]
    pairs = find_near_pairs(unique_images, config.near_threshold, on_block)
    findings += find_near(faces, image_numbers, pairs, config.train_split)
    order = list(KINDS)
    missing = {NO_VOTES: faces.votes is None, NO_PREDICTIONS: predictions is None, NO_ROWS: (faces.rows < 0).any()}
    return Audit(
        faces,
        config,
        sorted(findings, key=lambda finding: order.index(finding.kind)),
        0 if predictions is None else len(predictions.indices),
        [note for note, applies in missing.items() if applies],
        quality,
    )


def _find_label_errors(faces: Faces, predictions: Predictions, config: AuditConfig) -> list[Finding]:
    try:
        labels = import_module("fer_train.audit.labels")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"--predictions needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[audit]', "
            "or leave --predictions out"
        ) from err
    found: list[Finding] = labels.find_label_errors(faces, predictions, config.label_filter)
    return found
