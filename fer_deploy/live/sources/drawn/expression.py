"""Expression: how brows, eyes and mouth of a drawn face are set, and the four that are drawn."""

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True)
class Expression:
    """Settings of the features; lengths are in half face widths.

    Attributes:
        brow_inner: how far the inner ends of the brows are raised.
        brow_outer: the same for the outer ends.
        knit: 0 to 1, brows drawn together, with furrows between them.
        eye: opening of the eyes, 1 at rest.
        squint: 0 to 1, lower lids raised.
        corner: how far the corners of the mouth are raised.
        width: of the mouth, 1 at rest.
        opening: of the mouth.
        teeth: 0 to 1, how white the teeth are.
        cheek: 0 to 1, folds beside nose and mouth.
        press: 0 to 1, lips pressed together.
        jaw: how far the chin is lowered.
    """

    brow_inner: float = 0.0
    brow_outer: float = 0.0
    knit: float = 0.0
    eye: float = 1.0
    squint: float = 0.0
    corner: float = 0.0
    width: float = 1.0
    opening: float = 0.0
    teeth: float = 0.0
    cheek: float = 0.0
    press: float = 0.0
    jaw: float = 0.0


EXPRESSIONS: Final = {
    "neutral": Expression(brow_inner=-0.03, brow_outer=0.05, eye=0.8, squint=0.28, corner=-0.01, press=0.38),
    "happy": Expression(
        brow_inner=0.02, brow_outer=0.03, eye=0.72, squint=0.5, corner=0.17, width=1.32, opening=0.15, teeth=1, cheek=1
    ),
    "surprise": Expression(brow_inner=0.17, brow_outer=0.14, eye=1.55, width=0.72, opening=0.34, jaw=0.16),
    "angry": Expression(
        brow_inner=-0.24,
        brow_outer=0.11,
        knit=0.89,
        eye=0.96,
        squint=0.05,
        corner=-0.115,
        width=0.8,
        cheek=0.25,
        press=0.77,
    ),
}
"""By the label that FER2013 and FER+ have for them, in the order in which they are shown."""


def blend(before: Expression, after: Expression, fraction: float) -> Expression:
    """Return the expression between two; `fraction` is 0 for the first, 1 for the second."""
    names = [field.name for field in fields(Expression)]
    mixed = {name: getattr(before, name) * (1 - fraction) + getattr(after, name) * fraction for name in names}
    return Expression(**mixed)
