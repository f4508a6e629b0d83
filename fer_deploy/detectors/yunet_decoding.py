"""Decode YuNet's output tensors into faces. The arithmetic is that of OpenCV's face_detect.cpp."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.detectors.yunet_heads import NUM_CHANNELS, STRIDES
from fer_deploy.engines.network import Tensors

NMS_IOU = 0.3
"""Of two faces that overlap more, the one with the lower score is left out; as in OpenCV."""
_MAX_LOG_SIZE = 8.0
"""e^8 is three thousand strides: larger than any face, and small enough not to overflow."""
MAX_CANDIDATES = 5000
"""Candidates with the highest scores that non-maximum suppression compares; as in OpenCV."""
_TINY = 1e-6
_NO_FACES = FoundFaces(
    np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=np.float32), np.empty((0, 5, 2), dtype=np.float32)
)


class _Candidates(NamedTuple):
    """N anchors of one stride.

    Attributes:
        anchors: (N,), counted row by row.
        scores: (N,).
        regressed: (14, N): center and logarithm of the size, then five landmarks, in strides from the anchor.
    """

    anchors: NDArray[np.intp]
    scores: NDArray[np.float32]
    regressed: NDArray[np.float32]


def decode(outputs: Tensors, input_width: int, min_score: float) -> FoundFaces:
    """Return the faces above `min_score`, best first, without those that a better one overlaps.

    A face's score is the geometric mean of "is a face" (cls) and "is an object here" (obj), each 0 to 1. Only anchors
    with a sufficient score are decoded.

    Args:
        outputs: for each stride S either head_S (1, 16, H/S, W/S) of `yunet_heads.merge_heads`, whose scores are
            logits, or cls_S and obj_S (1, A, 1), bbox_S (1, A, 4), kps_S (1, A, 10), where A counts the anchors row by
            row.
        input_width: of the network's input, in pixels, a multiple of 32.
        min_score: 0 to 1.
    """
    choose = _choose_merged if f"head_{STRIDES[0]}" in outputs else _choose_separate
    found = [(stride, choose(outputs, stride, min_score * min_score)) for stride in STRIDES]
    parts = [_decode_stride(chosen, stride, input_width) for stride, chosen in found if chosen is not None]
    if not parts:
        return _NO_FACES
    boxes, scores, landmarks = (
        parts[0] if len(parts) == 1 else (np.concatenate(column) for column in zip(*parts, strict=True))
    )
    kept = _suppress(boxes, scores, min_score)
    boxes[:, 2:] += boxes[:, :2]
    return FoundFaces(boxes[kept], scores[kept], landmarks[kept])


def _choose_merged(outputs: Tensors, stride: int, least_square: float) -> _Candidates | None:
    """Select anchors by their logits. Both factors are at least their product, so most need no sigmoid."""
    maps = outputs[f"head_{stride}"].reshape(NUM_CHANNELS, -1)
    least_logit = math.log(max(least_square, _TINY) / max(1 - least_square, _TINY))
    anchors = np.flatnonzero(np.minimum(maps[0], maps[1]) > least_logit)
    if not len(anchors):
        return None
    picked = maps[:, anchors]
    inverse = 1 + np.exp(-picked[:2])
    return _Candidates(anchors, 1 / np.sqrt(inverse[0] * inverse[1]), picked[2:])


def _choose_separate(outputs: Tensors, stride: int, least_square: float) -> _Candidates | None:
    squares = outputs[f"cls_{stride}"].reshape(-1) * outputs[f"obj_{stride}"].reshape(-1)
    anchors = np.flatnonzero(squares > least_square)
    if not len(anchors):
        return None
    regressed = np.concatenate([outputs[f"bbox_{stride}"][0, anchors], outputs[f"kps_{stride}"][0, anchors]], axis=1)
    return _Candidates(anchors, np.sqrt(squares[anchors]), regressed.T)


def _decode_stride(
    chosen: _Candidates, stride: int, input_width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return boxes (N, 4) as x, y, width, height, scores (N,) and landmarks (N, 5, 2)."""
    regressed = chosen.regressed
    corners = np.array(np.divmod(chosen.anchors, input_width // stride)[::-1], dtype=np.float32)
    sizes = np.exp(np.minimum(regressed[2:4], _MAX_LOG_SIZE)) * stride
    boxes = np.concatenate([(regressed[:2] + corners) * stride - sizes / 2, sizes])
    landmarks = (regressed[4:].reshape(5, 2, -1) + corners) * stride
    return boxes.T, chosen.scores, landmarks.transpose(2, 0, 1)


def _suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], min_score: float) -> NDArray[np.intp]:
    """Return the indices after non-maximum suppression on whole pixels, as in OpenCV, best score first."""
    kept = cv2.dnn.NMSBoxes(boxes.astype(np.int32).tolist(), scores.tolist(), min_score, NMS_IOU, 1.0, MAX_CANDIDATES)
    return np.asarray(kept, dtype=np.intp)
