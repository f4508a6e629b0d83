"""Which detector a config comes to on this machine, in words: `auto` is not to choose in silence."""

from typing import Final

from fer_deploy.detectors.config import DetectorConfig
from fer_deploy.detectors.yunet_file import NUM_BYTES, file_at_hand, yunet_file

_HAAR: Final = "Haar"


def is_haar(config: DetectorConfig) -> bool:
    """Return whether Haar runs, by its name or because `auto` finds no file of YuNet."""
    return config.detector == "haar" or (config.detector == "auto" and file_at_hand(config.detector_model) is None)


def describe_detector(config: DetectorConfig) -> str:
    """Return "Haar" or "YuNet (NAME)", without the folder, for it may be shown to others.

    Raises:
        ArtifactError: YuNet's file would have to be downloaded and cannot; not after `build_detectors`.
    """
    return _HAAR if is_haar(config) else f"YuNet ({yunet_file(config.detector_model).name})"


def detector_line(config: DetectorConfig) -> str:
    """Return the line for who runs it: with the whole path, and what `auto` gives up where it comes to Haar."""
    if not is_haar(config):
        return f"detector: YuNet ({yunet_file(config.detector_model)})"
    if config.detector == "haar":
        return f"detector: {_HAAR}"
    return (
        f"detector: {_HAAR}, which misses turned and small faces "
        f"(--detector yunet fetches a better one once, {NUM_BYTES / 1000:.0f} kB)"
    )
