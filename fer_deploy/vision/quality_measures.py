"""Measure the quality of faces from the network's input and the detector's landmarks."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_deploy.spec import InputSpec
from fer_deploy.vision.face_geometry import is_face
from fer_deploy.vision.head_pose import head_pose
from fer_deploy.vision.preprocess import CropConfig, images_from_faces, outside_of_crop
from fer_deploy.vision.quality import FaceQuality
from fer_deploy.vision.types import Detection

MEASURED_SIZE: Final = (48, 48)
"""Width and height at which the limits were measured; other inputs are resized for the measurement."""


def measured_faces(
    frame_bgr: NDArray[np.uint8], detections: Sequence[Detection], spec: InputSpec, crop: CropConfig
) -> tuple[NDArray[np.uint8], list[FaceQuality]]:
    """Cut out the faces of a frame and measure them.

    Args: those of `images_from_faces`.

    Returns:
        The network's input (N, 1, height, width) uint8, owned by the caller, and the quality of each face.
    """
    images, size = images_from_faces(frame_bgr, detections, spec, crop), frame_bgr.shape[1::-1]
    pairs = zip(images, detections, strict=True)
    return images, [quality_of_face(image[0], detection, (size[0], size[1]), crop) for image, detection in pairs]


def quality_of_face(
    image: NDArray[np.uint8], detection: Detection, frame_size: tuple[int, int], crop: CropConfig
) -> FaceQuality:
    """Measure a face.

    Args:
        image: (H, W) uint8 gray, the network's input from `images_from_faces`.
        detection: of the face.
        frame_size: width and height of the frame in pixels.
        crop: with which the image was cut out.
    """
    if image.shape[::-1] != MEASURED_SIZE:
        image = np.asarray(cv2.resize(image, MEASURED_SIZE, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    mean, deviation = _mean_and_deviation(image)
    variance = deviation**2 + 1.0  # a level of noise: a plain picture is neither sharp nor grainy
    gradients = (cv2.Sobel(image, cv2.CV_16S, 1, 0), cv2.Sobel(image, cv2.CV_16S, 0, 1))
    energy = sum(cv2.norm(gradient, cv2.NORM_L2SQR) for gradient in gradients) / image.size
    box = detection.box
    return FaceQuality(
        size_px=float(np.sqrt((box.x2 - box.x1) * (box.y2 - box.y1))),
        sharpness=energy / variance,
        brightness=mean,
        contrast=deviation,
        grain=_mean_and_deviation(cv2.Laplacian(image, cv2.CV_16S))[1] ** 2 / variance,
        pose=head_pose(detection, frame_size),
        cut_off=outside_of_crop(detection, frame_size, crop),
        score=detection.score,
        has_face_geometry=is_face(detection),
    )


def _mean_and_deviation(pixels: cv2.typing.MatLike) -> tuple[float, float]:
    mean, deviation = cv2.meanStdDev(pixels)
    return float(mean[0, 0]), float(deviation[0, 0])
