"""Measure a model's accuracy on degraded faces, as from cheap cameras: blurred, faded, small, tilted.

Every degradation is deterministic and keeps size and type, so the same faces can measure any artifact.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from fer_train.data.faces import Faces
from fer_train.data.splits import take_split
from fer_train.evaluation.evaluate import evaluate_split
from fer_train.evaluation.views import OnBatch, ignore_batch

Images = NDArray[np.uint8]
"""Gray faces (N, S, S)."""

SOFT_SIGMA = 1.2
DIM_STD = 25.0
"""Pixel deviation of "dim and soft": measured crops from video have 25, FER2013's faces 54."""
BLUR_SIGMAS = (0.5, 0.8, 1.2, 1.6, 2.0, 3.0)
CONTRAST_STDS = (40.0, 25.0, 16.0, 10.0, 6.0)
SIDES = (36, 24, 18, 14, 10)
TILTS = (10.0, 20.0, 30.0, 45.0)
CURVE_FACES = 1000
"""Number of faces per point of a curve: the uncertainty of an accuracy of 80 % is then 2.5 points."""


@dataclass(frozen=True)
class DegradedRow:
    """Accuracy on faces with one degradation.

    Attributes:
        what: "clean", "blur", "contrast", "size", "tilt" or "dim and soft".
        amount: sigma in pixels of a 48-pixel face, pixel deviation, side in pixels before enlarging, or degrees.
        num_faces: number of measured faces.
        accuracy: 0 to 1.
    """

    what: str
    amount: float
    num_faces: int
    accuracy: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def blurred(images: Images, sigma: float) -> Images:
    """Return Gaussian-blurred faces; sigma in pixels."""
    return _each(images, lambda face: cv2.GaussianBlur(face, (0, 0), sigma))


def faded(images: Images, std: float) -> Images:
    """Return faces with a pixel deviation of at most `std`; each keeps its mean."""

    def fade(face: Images) -> Images:
        pixels = face.astype(np.float32)
        seen = float(pixels.std())
        if seen <= std:
            return face
        return np.asarray(np.clip(np.rint((pixels - pixels.mean()) * (std / seen) + pixels.mean()), 0, 255), np.uint8)

    return _each(images, fade)


def dim_and_soft(images: Images) -> Images:
    """Return faces blurred by sigma 1.2 and then faded to a pixel deviation of 25."""
    return faded(blurred(images, SOFT_SIGMA), DIM_STD)


def shrunk(images: Images, side: int) -> Images:
    """Return faces that were shrunk to `side` pixels and enlarged to their original size."""
    height, width = images.shape[1:]

    def shrink(face: Images) -> Images:
        small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    return _each(images, shrink)


def tilted(images: Images, degrees: float) -> Images:
    """Return faces rotated about their center, every second one in the other direction; edge pixels are repeated."""
    height, width = images.shape[1:]
    center = ((width - 1) / 2, (height - 1) / 2)
    turns = [cv2.getRotationMatrix2D(center, sign * degrees, 1.0) for sign in (1, -1)]
    turned = [
        cv2.warpAffine(face, turns[i % 2], (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for i, face in enumerate(images)
    ]
    return np.stack(turned).astype(np.uint8)


def measure_degraded(
    model: nn.Module,
    faces: Faces,
    split: str,
    *,
    spec: dict[str, Any],
    label_set: str,
    on_batch: OnBatch = ignore_batch,
) -> list[DegradedRow]:
    """Return the accuracy of a model on the faces of a split, for each degradation; see `evaluate_split`.

    "clean" and "dim and soft" are measured on every face, the curves on at most `CURVE_FACES`, evenly spread.
    """
    chosen = take_split(faces, split)
    is_drawn = np.zeros(len(chosen), dtype=np.bool_)
    is_drawn[np.linspace(0, len(chosen) - 1, min(CURVE_FACES, len(chosen)), dtype=np.int64)] = True
    drawn = chosen.select(is_drawn)
    kinds = [
        ("clean", 0.0, chosen, chosen.images),
        *((what, amount, drawn, images) for what, amount, images in degradations(drawn.images)),
        ("dim and soft", SOFT_SIGMA, chosen, dim_and_soft(chosen.images)),
    ]
    rows = []
    for what, amount, shown, images in kinds:
        measured = evaluate_split(
            model,
            replace(shown, images=images),
            split,
            spec=spec,
            label_set=label_set,
            views=("plain",),
            on_batch=on_batch,
        )
        rows.append(DegradedRow(what, amount, measured.official().num_faces, measured.official().accuracy))
    return rows


def degradations(images: Images) -> Iterator[tuple[str, float, Images]]:
    """Yield (what, amount, faces) for every point of the curves in a model card."""
    for sigma in BLUR_SIGMAS:
        yield "blur", sigma, blurred(images, sigma)
    for std in CONTRAST_STDS:
        yield "contrast", std, faded(images, std)
    for side in SIDES:
        yield "size", float(side), shrunk(images, side)
    for degrees in TILTS:
        yield "tilt", degrees, tilted(images, degrees)


def _each(images: Images, change: Callable[[Images], Any]) -> Images:
    return np.stack([np.asarray(change(face), dtype=np.uint8) for face in images])
