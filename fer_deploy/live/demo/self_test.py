"""SelfTest: how often the model names a drawn expression as it was drawn."""

import math
from collections import Counter

from fer_deploy.live.sinks.base import Picture, Sink
from fer_deploy.live.sources.synthetic import DrawnFace, drawn_faces
from fer_deploy.vision.types import FaceResult, FrameResult

NOT_FOUND = "not found"
"""What counts as shown where the detector found no face."""


class SelfTest(Sink):
    """Compares the results of the synthetic source with what it drew, but for the changes between two expressions.

    Attributes:
        shown: by drawn expression, in the order of their appearance: faces by what was shown.
    """

    name = "self-test"
    needs_pixels = False

    def __init__(self) -> None:
        """Begin without results."""
        self.shown: dict[str, Counter[str]] = {}

    def write(self, result: FrameResult, picture: Picture | None) -> bool:
        """Compare one frame."""
        for drawn in drawn_faces(result.frame.index):
            if drawn.is_settled:
                face = _face_at(drawn, result)
                label = NOT_FOUND if face is None else face.shown_label
                self.shown.setdefault(drawn.label, Counter())[label] += 1
        return True

    def lines(self) -> list[str]:
        """Return the score in words, then a line for each expression that was not named as drawn in most faces."""
        if not self.shown:
            return []
        num_faces = sum(counts.total() for counts in self.shown.values())
        num_right = sum(counts[label] for label, counts in self.shown.items())
        wrong = [label for label, counts in self.shown.items() if 2 * counts[label] <= counts.total()]
        named = f"{len(self.shown) - len(wrong)} of {len(self.shown)} drawn expressions as drawn"
        faces = f"{num_right:,} of {num_faces:,} faces (changing ones are not counted)"
        score = f"self-test: the model named {named}, in {faces}"
        return [score, *(f"  {label} was named {_others(self.shown[label])}" for label in wrong)]


def _face_at(drawn: DrawnFace, result: FrameResult) -> FaceResult | None:
    """Return the face whose middle is nearest to the drawn one, if it lies in the drawn face."""

    def distance(face: FaceResult) -> float:
        box = face.box
        return math.hypot((box.x1 + box.x2) / 2 - drawn.x, (box.y1 + box.y2) / 2 - drawn.y)

    nearest = min(result.faces, key=distance, default=None)
    return nearest if nearest is not None and distance(nearest) < drawn.size else None


def _others(counts: Counter[str]) -> str:
    return ", ".join(f"{label} in {num / counts.total():.0%} of the faces" for label, num in counts.most_common())
