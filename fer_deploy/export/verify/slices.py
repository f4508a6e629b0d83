"""Degrade faces: the same people in poor light, out of focus, far away, turned, with noise.

A camera's faces differ from FER2013's: flat and soft (pixel deviation 25 instead of 54). An artifact that agrees with
PyTorch on clean faces may differ from it there, because activations leave their calibrated ranges. So every artifact
is compared on each of these slices, and calibration also uses them.

All degradations map (N, 1, H, W) uint8 to the same shape and are deterministic. Sizes are those of a 48-pixel face and
scale with the image.
"""

from collections.abc import Callable
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

_SIDE = 48
"""Side in pixels of the face to which the sizes below refer."""
_LIGHT = 0.35
"""Remaining share of the light in a dim picture."""
_BLUR_SIGMA = 1.5
_SOFT_SIGMA, _FLAT_DEVIATION = 1.2, 25.0
"""Values measured on crops of the clips: blurred, with a standard deviation of 25 gray levels."""
_SMALL_SIDE = 20
_DEGREES = 20.0
_NOISE_DEVIATION, _NOISE_SEED = 15.0, 48


class Slice(StrEnum):
    """Kind of faces; `VIDEO` are crops of recordings, the others derive from the faces of the verification."""

    CLEAN = "clean"
    DIM = "dim"
    BLURRED = "blurred"
    DIM_SOFT = "dim-soft"
    SMALL = "small"
    TURNED = "turned"
    NOISE = "noise"
    VIDEO = "video"


DESCRIPTIONS = {
    Slice.CLEAN: "unchanged",
    Slice.DIM: f"{_LIGHT:.0%} of the light",
    Slice.BLURRED: f"Gaussian blur, sigma {_BLUR_SIGMA:g}",
    Slice.DIM_SOFT: f"Gaussian blur, sigma {_SOFT_SIGMA:g}, then contrast at most {_FLAT_DEVIATION:g}",
    Slice.SMALL: f"shrunk to {_SMALL_SIDE} pixels and enlarged again",
    Slice.TURNED: f"rotated by {_DEGREES:g} degrees, every second face in the other direction",
    Slice.NOISE: f"Gaussian noise, deviation {_NOISE_DEVIATION:g}",
    Slice.VIDEO: "crops of recordings, as the live loop cuts them",
}
"""Descriptions; lengths are pixels of a 48-pixel face, light and noise are gray levels."""


def degraded(images_nchw: Images, kind: Slice) -> Images:
    """Return the images of a slice, (N, 1, H, W) uint8, each from the image at the same position.

    Args:
        images_nchw: (N, 1, H, W) uint8.
        kind: any except `Slice.VIDEO`, which does not derive from other faces.
    """
    return _DEGRADATIONS[kind](images_nchw)


def partly_degraded(images_nchw: Images, share: float, seed: int) -> tuple[Images, int]:
    """Degrade a random share of the images, with all kinds in turn; the others do not change.

    Returns:
        The images, in the same order, and the number of degraded ones.
    """
    kinds = [kind for kind in _DEGRADATIONS if kind is not Slice.CLEAN]
    count = round(share * len(images_nchw))
    chosen = np.random.default_rng(seed).permutation(len(images_nchw))[:count]
    found = images_nchw.copy()
    for first, kind in enumerate(kinds):
        positions = np.sort(chosen[first :: len(kinds)])
        found[positions] = degraded(images_nchw[positions], kind)
    return found, count


def _dim(images: Images) -> Images:
    return _gray_levels(images * np.float32(_LIGHT))


def _blurred(images: Images) -> Images:
    return _each(images, lambda image, _: _gaussian(image, _BLUR_SIGMA))


def _dim_and_soft(images: Images) -> Images:
    soft = _each(images, lambda image, _: _gaussian(image, _SOFT_SIGMA)).astype(np.float32)
    mean, deviation = (value(soft, axis=(1, 2, 3), keepdims=True) for value in (np.mean, np.std))
    gain = np.minimum(1.0, _FLAT_DEVIATION / np.maximum(deviation, 1e-6))  # a flat face gets no additional contrast
    return _gray_levels(mean + (soft - mean) * gain)


def _small(images: Images) -> Images:
    def shrunk(image: Images, _: int) -> Images:
        height, width = image.shape
        sides = (max(1, width * _SMALL_SIDE // _SIDE), max(1, height * _SMALL_SIDE // _SIDE))
        small = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    return _each(images, shrunk)


def _turned(images: Images) -> Images:
    def turned(image: Images, position: int) -> Images:
        height, width = image.shape
        degrees = _DEGREES if position % 2 == 0 else -_DEGREES
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        found = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, dtype=np.uint8)

    return _each(images, turned)


def _noisy(images: Images) -> Images:
    noise = np.random.default_rng(_NOISE_SEED).normal(0, _NOISE_DEVIATION, images.shape)
    return _gray_levels(images + noise)


_DEGRADATIONS: dict[Slice, Callable[[Images], Images]] = {
    Slice.CLEAN: lambda images: images,
    Slice.DIM: _dim,
    Slice.BLURRED: _blurred,
    Slice.DIM_SOFT: _dim_and_soft,
    Slice.SMALL: _small,
    Slice.TURNED: _turned,
    Slice.NOISE: _noisy,
}


def _gaussian(image: Images, sigma: float) -> Images:
    scaled = sigma * image.shape[0] / _SIDE
    return np.asarray(cv2.GaussianBlur(image, (0, 0), scaled, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _each(images: Images, change: Callable[[Images, int], Images]) -> Images:
    found = np.empty_like(images)
    for position, (image,) in enumerate(images):
        found[position, 0] = change(image, position)
    return found


def _gray_levels(values: NDArray[np.floating]) -> Images:
    return np.asarray(np.rint(values).clip(0, 255), dtype=np.uint8)
