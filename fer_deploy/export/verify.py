"""Hold an engine against a reference on the same faces."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.base import Engine
from fer_deploy.errors import EngineError, VerificationError

BATCH_SIZES = (1, 7, 64)
"""Every face runs in batches of each size: a frozen batch dimension or a batch-dependent result shows up."""


@dataclass(frozen=True)
class Agreement:
    """How near a candidate comes to its reference.

    Attributes:
        num_faces: faces compared, each in every batch size.
        max_abs_logit: largest absolute difference of any logit.
        agreement: share of faces with the same argmax, 0 to 1.
    """

    reference: str
    candidate: str
    faces: str
    num_faces: int
    max_abs_logit: float
    agreement: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def compare(reference: Engine, candidate: Engine, images_nchw: NDArray[np.uint8], *, faces: str) -> Agreement:
    """Run both engines over (N, 1, H, W) uint8 faces; `faces` says in words where they come from."""
    wanted = run_in_batches(reference, images_nchw, BATCH_SIZES[-1])
    largest, least_agreement = 0.0, 1.0
    for size in BATCH_SIZES:
        got = run_in_batches(candidate, images_nchw, size)
        largest = max(largest, float(np.abs(got - wanted).max()))
        least_agreement = min(least_agreement, float((got.argmax(1) == wanted.argmax(1)).mean()))
    return Agreement(
        reference.description, candidate.description, faces, len(images_nchw), largest, least_agreement
    )  # fmt: skip


def require_agreement(result: Agreement, *, max_abs_logit: float, min_agreement: float) -> None:
    """Raise VerificationError where a limit is broken."""
    if result.max_abs_logit > max_abs_logit or result.agreement < min_agreement:
        raise VerificationError(
            f"{result.candidate} differs from {result.reference} on {result.num_faces} faces ({result.faces}): "
            f"max |Δlogit| {result.max_abs_logit:.2e} (allowed {max_abs_logit:.0e}), "
            f"same emotion {result.agreement:.2%} (required {min_agreement:.2%}). Nothing was written"
        )


def run_in_batches(engine: Engine, images_nchw: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Return logits (N, C) of all images, run `size` at a time; VerificationError where the engine fails."""
    try:
        return np.concatenate([engine.infer(images_nchw[i : i + size]) for i in range(0, len(images_nchw), size)])
    except EngineError as err:
        raise VerificationError(f"in batches of {size}: {err}") from err
