"""Models: the opened engine and detectors of an analysis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.detectors import DetectorFactory, build_detectors, describe_detector
from fer_deploy.engines.base import Engine
from fer_deploy.live.fingerprint.sources import detector_file


class Models(NamedTuple):
    """Engine and detectors of an analysis.

    Attributes:
        engine: opened; the caller closes it.
        engine_file: its file.
        detectors: creates a detector for each worker.
        detector_file: file of the detector's network, None if it has none.
        detector: description of the detector.
    """

    engine: Engine
    engine_file: Path
    detectors: DetectorFactory
    detector_file: Path | None
    detector: str


def models_with(engine: Engine, config: AnalyzeConfig) -> Models:
    """Return an opened engine with the detectors of the settings.

    Raises:
        FerDeployError: as `build_detectors`.
    """
    detectors, detection = build_detectors(config.detection), config.detection
    return Models(engine, config.engine_file, detectors, detector_file(detection), describe_detector(detection))


@contextmanager
def opened_models(config: AnalyzeConfig) -> Iterator[Models]:
    """Open engine and detectors, each with one thread a call.

    Raises:
        FerDeployError: as `EngineChoice.open` and `build_detectors`.
    """
    with config.open() as engine:
        yield models_with(engine, config)
