"""Find faces in frames with Haar or YuNet. Both are used as a `fer_deploy.vision.detector.Detector`."""

from fer_deploy.detectors.build import DetectorFactory, build_detectors
from fer_deploy.detectors.choice import describe_detector, detector_line
from fer_deploy.detectors.config import DetectorConfig, DetectorName
from fer_deploy.detectors.search import FaceSearch

__all__ = [
    "DetectorConfig",
    "DetectorFactory",
    "DetectorName",
    "FaceSearch",
    "build_detectors",
    "describe_detector",
    "detector_line",
]
