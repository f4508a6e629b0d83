"""Face images for verification and for INT8 calibration."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class VerificationFaces:
    """Faces for `verify`.

    Attributes:
        images_nchw: (N, 1, H, W) uint8, preprocessed as in deployment.
        labels: (N,) int64 indices into the spec's labels; None: without labels, only agreement is measured.
        source: description of their origin.
    """

    images_nchw: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    source: str

    def __len__(self) -> int:
        return len(self.images_nchw)

    def sha256(self) -> str:
        """Return a digest of the pixels and labels, in order."""
        content = hashlib.sha256(self.images_nchw.tobytes())
        if self.labels is not None:
            content.update(self.labels.tobytes())
        return content.hexdigest()

    def positions(self, limit: int) -> NDArray[np.int64]:
        """Return the positions of at most `limit` faces, evenly spread."""
        found: NDArray[np.int64] = np.unique(np.linspace(0, len(self) - 1, min(limit, len(self)), dtype=np.int64))
        return found

    def at(self, positions: NDArray[np.int64]) -> "VerificationFaces":
        """Return the faces at these positions."""
        labels = None if self.labels is None else self.labels[positions]
        return VerificationFaces(self.images_nchw[positions], labels, self.source)


@dataclass(frozen=True, eq=False)
class CalibrationFaces:
    """Faces for INT8 ranges.

    Attributes:
        images_nchw: (N, 1, H, W) uint8, drawn from training rows with a seed.
        source: description of their origin.
        seed: seed of the draw.
        num_degraded: number of degraded faces; see `slices.partly_degraded`.
    """

    images_nchw: NDArray[np.uint8]
    source: str
    seed: int
    num_degraded: int = 0
