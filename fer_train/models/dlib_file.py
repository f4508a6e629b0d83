"""Read the convolutions of a network that dlib serialized (http://dlib.net), without dlib.

A file holds its layers from input to output. A layer begins with its kind as text ("con_4", "affine_") and the version
of its tensor, followed by four sizes and float32 values, both little-endian; a size is a byte with the number of bytes,
then the bytes. A convolution's values are its kernels, then its biases; those of "affine_" are scales, then offsets.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_train.errors import CheckpointError

Tensors = dict[str, Tensor]
_VERSION = b"\x01\x02"
_FIX = (
    "Fix: dlib_face_recognition_resnet_model_v1.dat of github.com/davisking/dlib-models, unpacked and complete; "
    "or a state dict whose name ends in .safetensors, .pth or .pt"
)


@dataclass(frozen=True)
class ConvolutionAndScale:
    """A convolution and the scale and offset of each channel that follow it, all float32.

    Attributes:
        kernel: (outputs, inputs, height, width).
        bias: (outputs,), added before the scale.
        scale: (outputs,).
        offset: (outputs,).
    """

    kernel: Tensor
    bias: Tensor
    scale: Tensor
    offset: Tensor


def read_dlib_layers(path: Path, shapes: list[tuple[int, ...]]) -> list[ConvolutionAndScale]:
    """Return the first convolutions of the file, each with its scale.

    Args:
        path: file that dlib's `serialize` wrote, uncompressed.
        shapes: shapes of the kernels, (outputs, inputs, height, width), in their order from the input.

    Raises:
        CheckpointError: the file is missing, truncated, or of another network.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise CheckpointError(f"cannot read {path}: {err.strerror}. {_FIX}") from err
    layers, end = [], 0
    for number, shape in enumerate(shapes):
        where = f"layer {number + 1} of {len(shapes)}"
        values, end = _next(content, b"con_4", end, path, where)
        scales, end = _next(content, b"affine_", end, path, where)
        outputs = shape[0]
        if len(values) != math.prod(shape) + outputs or len(scales) != 2 * outputs:
            raise CheckpointError(
                f"{path} is of another network: {where} has {len(values)} and {len(scales)} numbers, expected "
                f"{math.prod(shape) + outputs} and {2 * outputs}. {_FIX}"
            )
        kernel, bias = values[:-outputs].reshape(shape), values[-outputs:]
        layers.append(ConvolutionAndScale(kernel, bias, scales[:outputs], scales[outputs:]))
    return layers


def _next(content: bytes, kind: bytes, start: int, path: Path, where: str) -> tuple[Tensor, int]:
    """Return the values (N,) of the next layer of that kind, and the position after them."""
    at = content.find(kind + _VERSION, start)
    if at < 0:
        raise CheckpointError(f"{path} has no {kind.decode()} for {where}: truncated, or not of this network. {_FIX}")
    position, count = at + len(kind + _VERSION), 1
    try:
        for _ in range(4):
            length = content[position] & 0x0F
            count *= int.from_bytes(content[position + 1 : position + 1 + length], "little")
            position += 1 + length
        values = np.frombuffer(content, "<f4", count, position)
    except (IndexError, ValueError, OverflowError) as err:  # OverflowError: a damaged size of up to 15 bytes
        raise CheckpointError(f"{path} ends within {where}: truncated, or damaged. {_FIX}") from err
    if not np.isfinite(values).all():
        raise CheckpointError(f"{path} is damaged: {where} holds values that are not finite. {_FIX}")
    return torch.from_numpy(values.astype(np.float32)), position + 4 * count
