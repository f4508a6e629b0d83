"""Build detectors from a config: the model is opened once, and each thread gets its own detector."""

import logging
from collections.abc import Callable

import numpy as np

from fer_deploy.detectors.choice import is_haar
from fer_deploy.detectors.config import DetectorConfig
from fer_deploy.detectors.finder import FaceFinder
from fer_deploy.detectors.haar import HaarFinder
from fer_deploy.detectors.search import FaceSearch
from fer_deploy.detectors.yunet import YuNetFinder, open_yunet
from fer_deploy.detectors.yunet_file import how_to_build, how_to_replace, how_to_serve, yunet_file
from fer_deploy.engines import PLAN_SUFFIXES
from fer_deploy.engines.base import Device
from fer_deploy.engines.triton.address import is_triton
from fer_deploy.errors import ConfigError, argument
from fer_deploy.vision.detector import Detector

DetectorFactory = Callable[[], Detector]
_log = logging.getLogger(__name__)


def build_detectors(config: DetectorConfig, *, device: Device = "cpu", threads: int = 1) -> DetectorFactory:
    """Open the detector's model and return a factory. Call the factory once for each worker thread.

    Args:
        config: which detector, and which faces it searches where.
        device: where YuNet's .onnx runs; a plan of it always runs on CUDA, and a served one where its server decides.
        threads: CPU threads of one call of YuNet; parallel detectors share the cores.

    Raises:
        ArtifactError: YuNet's file is missing, damaged, not YuNet, or cannot be downloaded.
        MissingDependencyError: OpenCV 5 for Haar, or no ONNX Runtime or TensorRT for YuNet.
        ConfigError: `config` is no DetectorConfig; otherwise see `fer_deploy.engines.network.open_network`.
        EngineError: see `fer_deploy.engines.network.open_network`.
    """
    if not isinstance(config, DetectorConfig):
        raise ConfigError(
            f'config is {type(config).__name__}, expected a DetectorConfig. Fix: DetectorConfig(detector="yunet")'
        )
    runs_haar = is_haar(config)
    if runs_haar and config.min_score is not None:  # auto chose Haar; with detector: haar the config is an error
        _log.warning(
            "min_score %g has no effect: auto found no YuNet, and Haar gives no score. Fix: %s",
            config.min_score,
            argument("detector", "yunet"),
        )
    new_finder = HaarFinder if runs_haar else _yunet(config, device, threads)
    new_finder().find(np.zeros((64, 64, 3), dtype=np.uint8))  # warm-up; a faulty model fails here, not at a frame

    def new_detector() -> Detector:
        return FaceSearch(new_finder(), min_face=config.min_face, roi=config.roi, max_faces=config.max_faces)

    return new_detector


def _yunet(config: DetectorConfig, device: Device, threads: int) -> Callable[[], FaceFinder]:
    path = yunet_file(config.detector_model)
    is_plan = path.suffix in PLAN_SUFFIXES
    fix = (
        how_to_build(path) if is_plan else how_to_serve() if is_triton(path) else how_to_replace(config.detector_model)
    )
    network = open_yunet(path, fix=fix, device="cuda" if is_plan else device, threads=threads)
    if config.min_score is None:
        return lambda: YuNetFinder(network)
    min_score = config.min_score
    return lambda: YuNetFinder(network, min_score=min_score)
