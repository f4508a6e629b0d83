"""Tags: the words at each face's box, placed so that they cover neither a face nor another tag."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.vision.types import Box, FaceResult

FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
SMALLEST_FONT: Final = 0.34
"""OpenCV's scale of the smallest letters that are legible."""
_BOLD_FROM: Final = 0.65
_LONGEST_LABEL: Final = 14
_MOST_OF_OWN_FACE: Final = 0.25
"""Of a box's height that its own tag may cover where there is no room around it."""


class Tag(NamedTuple):
    """A tag that is laid out but not drawn.

    Attributes:
        text: ASCII.
        place: of the whole tag, inside the picture.
        font: OpenCV's scale of the letters.
        gap: between the letters and the tag's edge, in pixels.
    """

    text: str
    place: Box
    font: float
    gap: int

    def draw(self, picture: NDArray[np.uint8], color: tuple[int, int, int], ink: tuple[int, int, int]) -> None:
        """Draw it into a picture, (H, W, 3) uint8 BGR. `color` is the ground's, `ink` the letters', both BGR."""
        place = self.place
        cv2.rectangle(picture, (place.x1, place.y1), (place.x2 - 1, place.y2 - 1), color, -1)
        (_, height), _ = cv2.getTextSize(self.text, FONT, self.font, pen_of(self.font))
        at = place.x1 + self.gap, place.y1 + height + (self.gap + 1) // 2
        cv2.putText(picture, self.text, at, FONT, self.font, ink, pen_of(self.font), cv2.LINE_AA)


def pen_of(font: float) -> int:
    """Return the thickness of letters in pixels."""
    return 1 if font < _BOLD_FROM else 2


def ascii_text(text: str) -> str:
    """Return a text in the letters that OpenCV has: without accents, and ? for other scripts."""
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letters).encode("ascii", "replace").decode()


def drawn_label(label: str, labels: Sequence[str]) -> str:
    """Return a label in letters that OpenCV has.

    For a label in another script that is class_N, N being its place among `labels`: a row of ? would name no class.
    """
    text = ascii_text(label)
    return f"class_{labels.index(label)}" if "?" in text and "?" not in label and label in labels else text


def shortened(text: str, num_letters: int = _LONGEST_LABEL) -> str:
    """Return a text with at most so many letters; two points are in place of the others."""
    return text if len(text) <= num_letters else f"{text[: num_letters - 2]}.."


def place_tags(faces: Sequence[FaceResult], size: tuple[int, int], *, font: float, gap: int) -> list[Tag | None]:
    """Return the tag of each face, or None where there is no room for one.

    No tag overlaps another tag or the box of another face. It overlaps its own face's box only where no room is
    around that, and then at most a quarter of the box. Where not all tags fit, letters become smaller, then the texts
    of the tags without room shorter.

    Args:
        faces: with boxes inside the picture.
        size: width and height of the picture.
        font: OpenCV's scale of the letters where there is room.
        gap: between letters and the tag's edge, in pixels.
    """
    fonts = sorted({max(SMALLEST_FONT, share * font) for share in (1.0, 0.75, 0.5)}, reverse=True)
    for scale in fonts:
        tags = _placed(faces, size, scale, gap, most_forms=1)
        if all(tag is not None for tag in tags):
            return tags
    return _placed(faces, size, fonts[-1], gap, most_forms=4)


def _placed(
    faces: Sequence[FaceResult], size: tuple[int, int], font: float, gap: int, *, most_forms: int
) -> list[Tag | None]:
    boxes = [face.box for face in faces]
    taken: list[Box] = []
    tags: list[Tag | None] = []
    for number, face in enumerate(faces):
        others = [_grown(box, gap) for box in boxes[:number] + boxes[number + 1 :]]
        tag = _tag(face, [*others, *taken], size, font, gap, most_forms)
        tags.append(tag)
        if tag is not None:
            taken.append(tag.place)
    return tags


def _tag(
    face: FaceResult, taken: Sequence[Box], size: tuple[int, int], font: float, gap: int, most_forms: int
) -> Tag | None:
    """Return the longest text that fits around the face, then the longest that fits into its box, or None."""
    tags = [(form, *_size_of(form, font, gap)) for form in _forms(face)[:most_forms]]
    reach = max(max(width, height) for _, width, height in tags)
    near = [other for other in taken if overlap(_grown(face.box, reach), other)]
    for places in (_around, _inside):
        for text, width, height in tags:
            for place in places(face.box, width, height, size):
                if not any(overlap(place, other) for other in near):
                    return Tag(text, place, font, gap)
    return None


def _forms(face: FaceResult) -> list[str]:
    """Return the texts of a face's tag, from the longest to the shortest."""
    label = shortened(drawn_label(face.shown_label, face.probs.labels))
    with_confidence = [f"{label} {face.smoothed.confidence:.0%}", label] if face.is_readable else [label]
    if face.person is None:
        return with_confidence
    who = f"#{face.person}"
    return [*(f"{who} {text}" for text in with_confidence), label, who]


def _size_of(text: str, font: float, gap: int) -> tuple[int, int]:
    (width, height), baseline = cv2.getTextSize(text, FONT, font, pen_of(font))
    return width + 2 * gap, height + baseline + gap


def _around(box: Box, width: int, height: int, size: tuple[int, int]) -> Iterator[Box]:
    """Yield places that touch the box: above, below, right, left."""
    right_end, low_end = size[0] - width, size[1] - height
    columns = [max(0, min(x, right_end)) for x in (box.x1, box.x2 - width)]
    rows = [max(0, min(y, low_end)) for y in (box.y1, box.y2 - height)]
    beside = [(x, y) for y in (box.y1 - height, box.y2) for x in columns]
    beside += [(x, y) for x in (box.x2, box.x1 - width) for y in rows]
    yield from (Box(x, y, x + width, y + height) for x, y in beside if 0 <= x <= right_end and 0 <= y <= low_end)


def _inside(box: Box, width: int, height: int, size: tuple[int, int]) -> Iterator[Box]:
    """Yield the upper and the lower edge of the box, where the tag is low beside it."""
    if height > _MOST_OF_OWN_FACE * (box.y2 - box.y1) or width > size[0]:
        return
    x = min(box.x1, size[0] - width)
    yield from (Box(x, y, x + width, y + height) for y in (box.y1, box.y2 - height))


def _grown(box: Box, gap: int) -> Box:
    return Box(box.x1 - gap, box.y1 - gap, box.x2 + gap, box.y2 + gap)


def overlap(a: Box, b: Box) -> bool:
    """Return whether two boxes have a pixel in common."""
    return a.x1 < b.x2 and b.x1 < a.x2 and a.y1 < b.y2 and b.y1 < a.y2
