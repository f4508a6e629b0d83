"""Compare an artifact with PyTorch on one slice of the faces; see `slices`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.slices import Slice, degraded

_QUANTILE = 0.999
_PERCENT = 100.0


@dataclass(frozen=True)
class SliceAgreement:
    """Comparison on one slice.

    Attributes:
        slice: kind of the slice.
        num_faces: number of compared faces.
        agreement: share of faces with the same emotion, 0 to 1.
        max_abs_logit: largest absolute difference of any logit.
        max_abs_logit_p999: its 99.9th percentile over faces and labels.
        accuracy: accuracy of the artifact in percent; None: faces without labels.
        accuracy_change: the artifact's accuracy minus PyTorch's, in points.
    """

    slice: Slice
    num_faces: int
    agreement: float
    max_abs_logit: float
    max_abs_logit_p999: float
    accuracy: float | None
    accuracy_change: float | None

    def in_words(self) -> str:
        """Return a line such as "  dim: same emotion 99.22% of 512 faces, max |Δlogit| 0.02"."""
        known = "" if self.accuracy_change is None else f", accuracy {self.accuracy_change:+.2f}"
        return (
            f"  {self.slice}: same emotion {self.agreement:.2%} of {self.num_faces} faces, "
            f"max |Δlogit| {self.max_abs_logit:.2g}{known}"
        )


def faces_by_slice(
    faces: VerificationFaces, count: int, video: VerificationFaces | None = None
) -> dict[Slice, VerificationFaces]:
    """Return the faces of each slice: at most `count`, evenly spread over `faces`.

    Args:
        faces: the clean faces.
        count: number of faces; 0 for no slices.
        video: crops of recordings, used unchanged; None: no slice `VIDEO`.
    """
    if count == 0:
        return {}
    some = faces.at(faces.positions(count))
    found: dict[Slice, VerificationFaces] = {
        kind: VerificationFaces(degraded(some.images_nchw, kind), some.labels, f"{faces.source}, {kind}")
        for kind in Slice
        if kind is not Slice.VIDEO
    }
    return found if video is None else found | {Slice.VIDEO: video}


def agreement_on(
    kind: Slice, wanted: NDArray[np.float32], got: NDArray[np.float32], labels: NDArray[np.int64] | None
) -> SliceAgreement:
    """Compare logits (N, C) of PyTorch and of an artifact for the same faces."""
    differences = np.abs(got - wanted)
    before, after = wanted.argmax(1), got.argmax(1)
    accuracy = None if labels is None else _PERCENT * float((after == labels).mean())
    change = None if labels is None or accuracy is None else accuracy - _PERCENT * float((before == labels).mean())
    return SliceAgreement(
        slice=kind,
        num_faces=len(wanted),
        agreement=float((before == after).mean()),
        max_abs_logit=float(differences.max()),
        max_abs_logit_p999=float(np.quantile(differences, _QUANTILE)),
        accuracy=accuracy,
        accuracy_change=change,
    )


def slice_breaches(found: tuple[SliceAgreement, ...], limits: Mapping[Slice, float | None]) -> list[str]:
    """Return a description of each slice whose agreement is below its limit.

    A slice may have few faces, so a single different face is allowed unless the limit is 1.
    """
    broken = []
    for part in found:
        required = limits.get(part.slice)
        if required is None or part.agreement >= required:
            continue
        num_different = round((1 - part.agreement) * part.num_faces)
        if num_different > 1 or required == 1:
            broken.append(f"same emotion on {part.slice} faces {part.agreement:.2%} (required {required:.2%})")
    return broken
