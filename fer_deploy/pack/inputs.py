"""The saved inputs of a pack: drawn faces, so that a pack contains no person's face; and which of them.

Measured with nano-ferplus and 21 engines that were broken on purpose (channels swapped or cleared, weights with noise,
a ReLU left out, INT8 scales that are wrong): the largest logit difference was 2.8 times that of the sound INT8 graph on
drawn faces and 1.2 times on variants of one portrait (medians), and the portrait has one emotion throughout, so that
"same emotion" shows almost nothing. So the faces are drawn.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fer_deploy.bench.agreement import SOURCE, drawn_images
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.spec import InputSpec

NUM_FACES: Final = 64
"""Faces of a pack, as many as the largest batch of a plan."""
NUM_CANDIDATES: Final = 256
"""Faces that the saved ones are chosen from."""
_MIN_MARGIN: Final = 0.1
"""Smallest lead of the first emotion over the second, in standard deviations of the logits."""


def drawn_faces(spec: InputSpec) -> VerificationFaces:
    """Return candidates: two drawn people with mixed expressions, moved, scaled, lit, noisy; the same on each call."""
    return VerificationFaces(drawn_images(spec, NUM_CANDIDATES), None, SOURCE)


def chosen(logits: NDArray[np.float32], num: int) -> NDArray[np.int64]:
    """Return the positions of the faces that show a broken engine best, in ascending order.

    These are the faces with the smallest lead of the first emotion, all emotions in turn, so that small errors change
    the answer; but not those where it leads by almost nothing, which rounding alone changes.

    Args:
        logits: (N, labels) of the reference.
        num: how many to choose; all if N is smaller.
    """
    ordered = np.sort(logits, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    is_tie = margins < _MIN_MARGIN * logits.std()
    labels = logits.argmax(axis=1)
    rank = np.empty(len(logits), dtype=np.int64)
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        rank[of_label[np.lexsort((margins[of_label], is_tie[of_label]))]] = np.arange(len(of_label))
    return np.sort(np.lexsort((labels, rank, is_tie))[:num])
