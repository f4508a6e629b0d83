"""Find outliers among calibration faces: images with much larger activations than all others.

FER2013 has some: placeholders of an image search, drawings, a cut-out on white. About one row in a thousand reaches
thirty times the activations of a face, and a range that includes it leaves only a few integer levels for real faces.
"""

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

_CHUNK = 64
_FEWEST = 200
"""Smallest number of faces for a search: one percent of them is more than one face."""
_TYPICAL_PERCENTILE = 99.0
_FACTOR = 2.0


def typical_faces(
    model: onnx.ModelProto, images_nchw: NDArray[np.uint8], input_name: str, tensors: tuple[str, ...]
) -> NDArray[np.bool_]:
    """Return (N,) bool: faces whose peaks are within twice the 99th percentile of all faces' peaks in every tensor.

    A tensor that is zero for nearly all faces is ignored. With fewer than 200 faces, all are typical.

    Args:
        model: FP32 graph.
        images_nchw: (N, 1, H, W) uint8.
        input_name: input of the graph.
        tensors: names of the float tensors to check.
    """
    if len(images_nchw) < _FEWEST:
        return np.ones(len(images_nchw), dtype=np.bool_)
    peaks = peaks_of(model, images_nchw, input_name, tensors)
    if not np.isfinite(peaks).all():  # the calibrator reports it with a name
        return np.ones(len(images_nchw), dtype=np.bool_)
    typical = np.percentile(peaks, _TYPICAL_PERCENTILE, axis=0)
    found: NDArray[np.bool_] = ((peaks <= _FACTOR * typical) | (typical == 0)).all(axis=1)
    return found


def peaks_of(
    model: onnx.ModelProto, images_nchw: NDArray[np.uint8], input_name: str, tensors: tuple[str, ...]
) -> NDArray[np.float32]:
    """Return (N, T) float32: the largest |value| of each face in each tensor."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    outputs = {value.name for value in model.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in tensors
        if name not in outputs
    )
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows = []
    for start in range(0, len(images_nchw), _CHUNK):
        values = session.run(list(tensors), {input_name: images_nchw[start : start + _CHUNK]})
        rows.append(np.stack([np.abs(v).reshape(len(v), -1).max(axis=1) for v in values], axis=1))
    return np.concatenate(rows)
