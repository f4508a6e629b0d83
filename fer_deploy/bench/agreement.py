"""Agreement of artifacts with a reference on drawn faces: whether they give the same answers on this machine.

Drawn faces are no people, so this proves that an engine computes the same, not how accurate the model is.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.bench.folder import Artifact
from fer_deploy.engines.base import Engine
from fer_deploy.live.sources.drawn import EXPRESSIONS, LOOKS, Expression, blend, draw_face
from fer_deploy.spec import InputSpec

SOURCE: Final = "drawn faces"
NUM_FACES: Final = 256
_FACE: Final = (0.16, 0.20, 0.84, 0.80)
"""Left, top, right and bottom of a face within its picture, in shares of it."""
_BATCH: Final = 64
_KINDS: Final = ("fp32", "fp16")
"""What serves as the reference, the best first."""


def drawn_images(spec: InputSpec, num: int = NUM_FACES, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return (num, 1, height, width) uint8: two drawn people with mixed expressions, moved, scaled, lit and noisy.

    The array is read-only: a second call with the same arguments returns it again. The first images of a larger `num`
    are those of a smaller one.
    """
    return _drawn_images(spec, num, seed)


@lru_cache(maxsize=4)
def _drawn_images(spec: InputSpec, num: int, seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    pictures = [draw_face(*face) for face in [(look, mixed) for look in LOOKS for mixed in _mixtures()][:num]]
    images = np.empty((num, 1, spec.height, spec.width), dtype=np.uint8)
    for index in range(num):
        images[index, 0] = _cut_out(pictures[index % len(pictures)], spec, random)
    images.flags.writeable = False
    return images


def _mixtures() -> list[Expression]:
    drawn = list(EXPRESSIONS.values())
    halves = [blend(one, other, 0.5) for number, one in enumerate(drawn) for other in drawn[:number]]
    return drawn + halves


def _cut_out(picture: NDArray[np.uint8], spec: InputSpec, random: np.random.Generator) -> NDArray[np.uint8]:
    """Lay a face of `draw_face` over a gray background and cut out a square around it."""
    opacity = picture[..., 3:].astype(np.float32) / 255
    shown = (1 - opacity) * random.uniform(40, 160) + opacity * picture[..., :3]
    gray = cv2.cvtColor(shown.astype(np.uint8), cv2.COLOR_BGR2GRAY)
    height, width = gray.shape
    side = random.uniform(0.9, 1.2) * (_FACE[2] - _FACE[0]) * width
    x = ((_FACE[0] + _FACE[2]) / 2 + random.uniform(-0.05, 0.05)) * width - side / 2
    y = ((_FACE[1] + _FACE[3]) / 2 + random.uniform(-0.05, 0.05)) * height - side / 2
    move = np.array([[spec.width / side, 0, -x * spec.width / side], [0, spec.height / side, -y * spec.height / side]])
    cut = cv2.warpAffine(gray, move, (spec.width, spec.height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    lit = cut * random.uniform(0.5, 1.3) + random.normal(0, random.uniform(0, 10), cut.shape)
    return np.asarray(np.clip(np.rint(lit), 0, 255), dtype=np.uint8)


def reference_of(artifacts: Sequence[Artifact]) -> Artifact | None:
    """Return the most precise ONNX file, which the others are compared with; None: there is no FP32 or FP16."""
    by_kind = {artifact.kind: artifact for artifact in artifacts}
    return next((by_kind[kind] for kind in _KINDS if kind in by_kind), None)


def logits_of(engine: Engine, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the logits of all images, (N, labels)."""
    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    return np.concatenate([engine.infer(batch) for batch in batches])


def agreement_of(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the share of images, 0 to 1, with the same label."""
    return float((logits.argmax(axis=1) == reference.argmax(axis=1)).mean())
