"""Find images that are not faces, and faces with low contrast."""

import numpy as np
from numpy.typing import NDArray

from fer_train.audit.findings import Finding
from fer_train.data.faces import Faces
from fer_train.data.readers.ferplus import VOTES

_NOT_A_FACE = VOTES.index("NF")


def gray_range(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return (N,) gray levels between the 5th and the 95th percentile of each image, 0 to 255.

    Percentiles, not the standard deviation: a few lines of black text on white have a large deviation but no range.
    """
    pixels = images.reshape(len(images), -1)
    low, high = int(pixels.shape[1] * 0.05), int(pixels.shape[1] * 0.95)
    ordered = np.partition(pixels, (low, high), axis=1)
    return ordered[:, high].astype(np.int64) - ordered[:, low]


def find_non_faces(faces: Faces, ranges: NDArray[np.int64], blank_range: int) -> list[Finding]:
    """Return non_face findings: images that span fewer than `blank_range` gray levels, and FER+'s non-faces.

    "Unknown" votes do not count towards "NF": on FER2013 those rows are faces whose emotion is unclear.

    Args:
        faces: all splits; without `votes` only blank images are found.
        ranges: (N,) from `gray_range`.
        blank_range: gray levels.
    """
    blank = ranges < blank_range
    against = np.zeros(len(faces), dtype=np.int64)
    voted = np.zeros(len(faces), dtype=bool)
    if faces.votes is not None:
        against = faces.votes[:, _NOT_A_FACE].astype(np.int64)
        voted = against > np.delete(faces.votes, _NOT_A_FACE, axis=1).max(axis=1)
    findings = []
    for i in np.flatnonzero(blank | voted).tolist():
        seen = [f"blank: spans {ranges[i]} gray levels"] if blank[i] else []
        seen += [f"{against[i]} FER+ votes for not a face"] if voted[i] else []
        findings.append(Finding(i, "non_face", "; ".join(seen)))
    return findings


def find_low_contrast(ranges: NDArray[np.int64], blank_range: int, contrast_range: int) -> list[Finding]:
    """Return low_contrast findings, the worst first, of images that span less than `contrast_range` but are not blank.

    Args:
        ranges: (N,) from `gray_range`.
        blank_range: gray levels below which an image is a non-face.
        contrast_range: gray levels.
    """
    found = np.flatnonzero((ranges >= blank_range) & (ranges < contrast_range))
    return [
        Finding(i, "low_contrast", f"spans {ranges[i]} gray levels", caption=f"{ranges[i]} levels")
        for i in found[np.argsort(ranges[found], kind="stable")].tolist()
    ]
