"""Finding: one thing noticed about one face; and the kinds of findings there are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing noticed about one face.

    Attributes:
        index: position of the face in the data set, from 0.
        kind: a key of `KINDS`.
        detail: what was seen, for people; one line.
        group: faces of the same kind and group are twins of each other; -1 where the face stands for itself.
        caption: what stands under the picture in place of the label's name; "" for that.
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
        title: for tables and headings.
        meaning: what it is and why it matters, one paragraph of Markdown.
        excludable: whether exclude.csv may hold rows for this reason.
        excluded: whether it does unless the user says otherwise.
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
        "Faces whose pixels are identical to those of another row, in any split. Which of them to drop is told by "
        "`leaked`, `redundant` and `contradictory`.",
        has_sheet=True,
    ),
    "near_duplicate": Kind(
        "near duplicates",
        "The same photo saved twice: another brightness, compression, crop or watermark, or mirrored. Found by the "
        "normalized cross-correlation of 16x16 thumbnails. Labels may differ; the detail says so.",
        has_sheet=True,
    ),
    "contradictory": Kind(
        "contradictory labels",
        "Identical pixels with different labels. At least one label is wrong and nothing in the data tells which, so "
        "that all copies in the training split are left out.",
        excludable=True,
        excluded=True,
        has_sheet=True,
    ),
    "leaked": Kind(
        "leaked",
        "Training rows whose pixels also stand in another split of this copy: accuracy there is partly memory. "
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
        "Training rows whose pixels and label an earlier training row has already: they only weigh that face more.",
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
        "Gray levels span little between their 5th and 95th percentile. Most of these are good faces, in bad light or "
        "of dark skin. Leaving them out would make the model worse for exactly those people, so that it is not done "
        "unless you ask for it.",
        excludable=True,
        has_sheet=True,
    ),
    "label_error": Kind(
        "likely label errors",
        "Confident learning (Northcutt et al. 2021, cleanlab) over predictions for faces that the model was not "
        "trained on. A suspicion, not a verdict: the model errs too, most where emotions look alike.",
        excludable=True,
        excluded=True,
        has_sheet=True,
    ),
}
"""Every kind, in the order of tables and reports. The keys are what exclude.csv calls a reason."""

REASONS = tuple(name for name, kind in KINDS.items() if kind.excludable)
