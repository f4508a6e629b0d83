"""Find faces in frames: Haar and YuNet behind one search. What runs is `fer_deploy.vision.detector.Detector`."""

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
