"""Check the tensors of a release: names, shapes and types from the header alone, then the values."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor

_FLOATS = ("F16", "BF16", "F32", "F64")
_WHOLE = ("I64",)
_NUM_NAMED = 3


class TensorFile(Protocol):
    """The methods of an open safetensors file that this project uses."""

    def keys(self) -> list[str]:
        """Return the names of the tensors."""

    def metadata(self) -> dict[str, str] | None:
        """Return the metadata strings."""

    def get_slice(self, name: str) -> Any:
        """Return a tensor's header, with `get_shape` and `get_dtype`."""

    def get_tensor(self, name: str) -> Tensor:
        """Read a tensor."""


def check_outline(file: TensorFile, wanted: Mapping[str, Tensor]) -> None:
    """Compare the header of an open file with a model's state dict; no tensor is read.

    Raises:
        ValueError: tensors are missing, foreign, or of another shape or type; the message is one line.
    """
    there = set(file.keys())
    missing, foreign = sorted(wanted.keys() - there), sorted(there - wanted.keys())
    if missing or foreign:
        parts = [
            f"{len(names)} tensors are {what}: {_named(names)}"
            for names, what in ((missing, "missing"), (foreign, "foreign"))
            if names
        ]
        raise ValueError("; ".join(parts))
    for name, value in wanted.items():
        header = file.get_slice(name)
        shape, dtype = tuple(header.get_shape()), header.get_dtype()
        if shape != tuple(value.shape):
            raise ValueError(f"{name} has the shape {shape}, expected {tuple(value.shape)}")
        allowed = _FLOATS if value.is_floating_point() else _WHOLE
        if dtype not in allowed:
            raise ValueError(f"{name} is of type {dtype}, expected {' or '.join(allowed)}")


def find_bad_value(tensors: Mapping[str, Tensor]) -> str:
    """Return which CPU tensor holds a non-finite value or a negative variance; an empty string if none does."""
    for name, tensor in tensors.items():
        values = tensor.numpy()
        if values.dtype.kind != "f":
            continue
        if not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            return f"{name} holds {count:,} of {values.size:,} values that are not finite"
        if name.endswith("running_var") and (values < 0).any():
            return f"{name} holds a variance below 0: {values.min():.3g}"
    return ""


def _named(names: list[str]) -> str:
    return ", ".join(name[:60] for name in names[:_NUM_NAMED]) + ", ..." * (len(names) > _NUM_NAMED)
