"""Scheme: the target runtime of an INT8 graph. Alone in its file, so that naming a variant imports no quantizer."""

from enum import StrEnum


class Scheme(StrEnum):
    """Target runtime of an INT8 graph."""

    TENSORRT = "tensorrt"
    CPU = "cpu"
