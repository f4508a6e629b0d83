"""Findings of an audit and their kinds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One observation about one face.

    Attributes:
        index: position of the face in the data set, from 0.
        kind: a key of `KINDS`.
        detail: the observation, for people; one line.
        group: faces of the same kind and group are duplicates of each other; -1 for a single face.
        caption: text under the picture; "" for the name of the label.
    """

    index: int
    kind: str
    detail: str
    group: int = -1
    caption: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    Attributes:
        title: name in tables and headings.
        meaning: what the kind is and why it matters, one paragraph of Markdown.
        excludable: whether exclude.csv may contain rows for this reason.
        excluded: whether it contains them by default.
        has_sheet: whether a contact sheet is drawn.
    """

    title: str
    meaning: str
    excludable: bool = False
    excluded: bool = False
    has_sheet: bool = False


KINDS = {
    "exact_duplicate": Kind(
        "exact duplicates",
        "Faces whose pixels are identical to those of another row, in any split. `leaked`, `redundant` and "
        "`contradictory` say which of them to drop.",
        has_sheet=True,
    ),
    "near_duplicate": Kind(
        "near duplicates",
        "The same photo saved twice: with another brightness, compression, crop or watermark, or mirrored. Found by "
        "the normalized cross-correlation of 16x16 thumbnails. If the labels differ, the detail says so.",
        has_sheet=True,
    ),
    "contradictory": Kind(
        "contradictory labels",
        "Identical pixels with different labels. At least one label is wrong, and the data do not show which, so all "
        "copies in the training split are left out.",
        excludable=True,
        excluded=True,
        has_sheet=True,
    ),
    "leaked": Kind(
        "leaked",
        "Training rows whose pixels also appear in another split of this copy: accuracy there is partly memory. "
        "The clean protocol drops them as well.",
        excludable=True,
        excluded=True,
    ),
    "near_leaked": Kind(
        "nearly leaked",
        "Further training rows with a near duplicate in another split. The clean protocol does not drop these.",
        excludable=True,
        excluded=True,
    ),
    "redundant": Kind(
        "redundant copies",
        "Training rows with the pixels and the label of an earlier training row: they only give that face more weight.",
        excludable=True,
        excluded=True,
    ),
    "non_face": Kind(
        "non-faces",
        'Blank images and, with FER+ votes, rows that more taggers called "not a face" than anything else. '
        "FER+ also gives ten such votes to tilted, cut-off and black-and-white faces: look at the contact sheet.",
        excludable=True,
        excluded=True,
        has_sheet=True,
    ),
    "low_contrast": Kind(
        "low contrast",
        "The range of gray levels from the 5th to the 95th percentile is small. Most of these are good faces, in bad "
        "light or with dark skin. Without them the model would be worse for exactly those people, so they are left "
        "out only if you ask for it.",
        excludable=True,
        has_sheet=True,
    ),
    "label_error": Kind(
        "likely label errors",
        "Confident learning (Northcutt et al. 2021, cleanlab) on predictions for faces that the model was not "
        "trained on. A suspicion, not a proof: the model makes mistakes too, most often between similar emotions.",
        excludable=True,
        excluded=True,
        has_sheet=True,
    ),
}
"""All kinds, in the order of tables and reports. The keys are the reasons in exclude.csv."""

REASONS = tuple(name for name, kind in KINDS.items() if kind.excludable)
