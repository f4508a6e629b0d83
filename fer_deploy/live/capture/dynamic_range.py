"""Convert HDR frames (PQ and HLG) for screens without HDR."""

from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

PQ: Final = 16
"""SMPTE ST 2084, in FFmpeg's numbers of transfer characteristics (ITU-T H.273)."""
HLG: Final = 18
"""ARIB STD-B67."""
HDR_NAMES: Final = {PQ: "PQ", HLG: "HLG"}
BT2020: Final = 9
"""Color primaries, in FFmpeg's numbers."""
_WHITE_NITS: Final = 203.0
"""Brightness of white paper and captions in HDR (ITU-R BT.2408)."""
_HLG_PEAK_NITS: Final = 1000.0
_KNEE: Final = 0.8
"""Linear light below is unchanged; highlights above are compressed into the rest."""
# ITU-R BT.2087, with rows and columns in the order blue, green, red.
_BT709_FROM_BT2020: Final = np.array(
    [[1.1187, -0.1006, -0.0182], [-0.0083, 1.1329, -0.1246], [-0.0728, -0.5876, 1.6605]], np.float32
)


def tone_mapped(picture: NDArray[np.uint8], transfer: int, *, is_wide: bool) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 BGR for a screen without HDR (BT.709 primaries, BT.1886 gamma).

    White keeps its relative brightness; brighter light is compressed. The primaries are converted in non-linear values,
    which is exact for gray, close for skin, and eight times as fast as in linear light.

    Args:
        picture: (H, W, 3) uint8 BGR, full range, encoded with `transfer`.
        transfer: `PQ` or `HLG`.
        is_wide: whether its primaries are those of BT.2020.
    """
    mapped = cv2.LUT(picture, _table(transfer))
    if is_wide:
        mapped = cv2.transform(mapped, _BT709_FROM_BT2020)
    return np.asarray(mapped, dtype=np.uint8)


@cache
def _table(transfer: int) -> NDArray[np.uint8]:
    """Return the table of 256 values for a screen without HDR."""
    signal = np.linspace(0, 1, 256)
    light = (_nits_from_pq(signal) if transfer == PQ else _nits_from_hlg(signal)) / _WHITE_NITS
    excess = np.maximum(light - _KNEE, 0)
    compressed = np.minimum(light, _KNEE) + (1 - _KNEE) * excess / (excess + 1 - _KNEE)
    return np.round(255 * compressed ** (1 / 2.4)).astype(np.uint8)


def _nits_from_pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    power = signal ** (1 / 78.84375)
    return 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def _nits_from_hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return _HLG_PEAK_NITS * scene**1.2
