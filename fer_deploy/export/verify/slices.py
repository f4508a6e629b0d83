"""Degraded copies of faces: the same people in poor light, out of focus, far away, turned, in noise.

A camera's faces differ from FER2013's: flat and soft (pixel deviation 25 instead of 54). An artifact that agrees with
PyTorch on clean faces may part from it there, because activations leave the ranges that calibration saw. So every
artifact is compared on each of these slices, and calibration sees them, too.

All degradations take and return (N, 1, H, W) uint8 and give the same pixels for the same input. Sizes are those of a
48-pixel face and grow with the image.
"""

from collections.abc import Callable
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]

_SIDE = 48
"""Pixels of the face for which the sizes below are given."""
_LIGHT = 0.35
"""Share of the light that is left in a dim picture."""
_BLUR_SIGMA = 1.5
_SOFT_SIGMA, _FLAT_DEVIATION = 1.2, 25.0
"""As crops of the clips measured: blurred, and with a standard deviation of 25 gray levels."""
_SMALL_SIDE = 20
_DEGREES = 20.0
_NOISE_DEVIATION, _NOISE_SEED = 15.0, 48


class Slice(StrEnum):
    """Faces of one kind; `VIDEO` are crops of recordings, the others are made from the judged faces."""

    CLEAN = "clean"
    DIM = "dim"
    BLURRED = "blurred"
    DIM_SOFT = "dim-soft"
    SMALL = "small"
    TURNED = "turned"
    NOISE = "noise"
    VIDEO = "video"


DESCRIPTIONS = {
    Slice.CLEAN: "as they are",
    Slice.DIM: f"{_LIGHT:.0%} of the light",
    Slice.BLURRED: f"Gaussian blur, sigma {_BLUR_SIGMA:g}",
    Slice.DIM_SOFT: f"Gaussian blur, sigma {_SOFT_SIGMA:g}, then contrast at most {_FLAT_DEVIATION:g}",
    Slice.SMALL: f"shrunk to {_SMALL_SIDE} pixels and enlarged again",
    Slice.TURNED: f"turned by {_DEGREES:g} degrees, every other face to the other side",
    Slice.NOISE: f"Gaussian noise, deviation {_NOISE_DEVIATION:g}",
    Slice.VIDEO: "crops of recordings, as the live loop cuts them",
}
"""Lengths are pixels of a 48-pixel face, light and noise are gray levels."""


def degraded(images_nchw: Images, kind: Slice) -> Images:
    """Return the images of a slice, each made from the image at the same position.

    Args:
        images_nchw: (N, 1, H, W) uint8.
        kind: any but `Slice.VIDEO`, which is made from no other face.
    """
    return _DEGRADATIONS[kind](images_nchw)


def partly_degraded(images_nchw: Images, share: float, seed: int) -> tuple[Images, int]:
    """Degrade a seeded share of the images, one kind after the other; the others stay.

    Returns:
        The images, in the same order, and how many of them were degraded.
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
    gain = np.minimum(1.0, _FLAT_DEVIATION / np.maximum(deviation, 1e-6))  # a flat face is not given contrast
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
