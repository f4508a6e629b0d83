"""From YuNet's twelve output tensors to faces. The arithmetic is that of OpenCV's face_detect.cpp."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.detectors.finder import FoundFaces
from fer_deploy.engines.network import Tensors

STRIDES = (8, 16, 32)
"""Pixels of the input between two anchors of a head."""
NMS_IOU = 0.3
"""Of two faces that overlap more, the one with the lower score is left out; as in OpenCV."""
_MAX_LOG_SIZE = 8.0
"""Three thousand strides: no face, and no overflow."""
MAX_CANDIDATES = 5000
"""Of the highest scores, before faces that overlap are left out; as in OpenCV."""
_NO_FACES = FoundFaces(
    np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=np.float32), np.empty((0, 5, 2), dtype=np.float32)
)


def decode(outputs: Tensors, input_width: int, min_score: float) -> FoundFaces:
    """Return the faces above `min_score`, best first, without those that a better one overlaps.

    A face's score is the geometric mean of "is a face" (cls) and "is an object here" (obj), each 0 to 1. The few
    anchors whose score suffices are chosen first; only they are decoded.

    Args:
        outputs: cls_S and obj_S (1, A, 1), bbox_S (1, A, 4), kps_S (1, A, 10) for each stride S, where A counts the
            anchors row by row.
        input_width: of the network's input, in pixels, a multiple of 32.
        min_score: 0 to 1.
    """
    parts = [part for stride in STRIDES if (part := _decode_stride(outputs, stride, input_width, min_score))]
    if not parts:
        return _NO_FACES
    boxes, scores, landmarks = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = _suppress(boxes, scores, min_score)
    boxes[:, 2:] += boxes[:, :2]
    return FoundFaces(boxes[kept], scores[kept], landmarks[kept].reshape(-1, 5, 2))


def _decode_stride(
    outputs: Tensors, stride: int, input_width: int, min_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]] | None:
    """Return boxes (N, 4) as x, y, width, height, scores (N,) and landmarks (N, 10); None: no anchor suffices."""
    squares = outputs[f"cls_{stride}"].reshape(-1) * outputs[f"obj_{stride}"].reshape(-1)
    chosen = np.flatnonzero(squares > min_score * min_score)
    if chosen.size == 0:
        return None
    rows, columns = np.divmod(chosen, input_width // stride)
    anchors = np.stack([columns, rows], axis=1).astype(np.float32)
    regressed = outputs[f"bbox_{stride}"][0, chosen]
    boxes = np.empty_like(regressed)
    boxes[:, 2:] = np.exp(np.minimum(regressed[:, 2:], _MAX_LOG_SIZE)) * stride
    boxes[:, :2] = (regressed[:, :2] + anchors) * stride - boxes[:, 2:] / 2
    landmarks = (outputs[f"kps_{stride}"][0, chosen] + np.tile(anchors, 5)) * stride
    return boxes, np.sqrt(squares[chosen]), landmarks


def _suppress(boxes: NDArray[np.float32], scores: NDArray[np.float32], min_score: float) -> NDArray[np.intp]:
    """Return the indices that stay, best first; on whole pixels, as OpenCV compares them."""
    kept = cv2.dnn.NMSBoxes(boxes.astype(np.int32).tolist(), scores.tolist(), min_score, NMS_IOU, 1.0, MAX_CANDIDATES)
    return np.asarray(kept, dtype=np.intp)
