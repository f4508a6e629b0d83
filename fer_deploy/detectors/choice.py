"""Name the detector that a config selects on this machine, so that users see what `auto` chose."""

from typing import Final

from fer_deploy.detectors.config import DetectorConfig
from fer_deploy.detectors.yunet_file import NUM_BYTES, file_at_hand, yunet_file
from fer_deploy.engines.triton.address import TritonAddress, is_triton

_HAAR: Final = "Haar"


def is_haar(config: DetectorConfig) -> bool:
    """Return whether Haar runs: it was chosen by name, or `auto` found no YuNet file."""
    return config.detector == "haar" or (config.detector == "auto" and file_at_hand(config.detector_model) is None)


def describe_detector(config: DetectorConfig) -> str:
    """Return "Haar" or "YuNet (NAME)". The text has no folder, since other people may see it.

    Raises:
        ArtifactError: YuNet's file is missing and cannot be downloaded; impossible after `build_detectors`.
    """
    if is_haar(config):
        return _HAAR
    path = yunet_file(config.detector_model)
    return f"YuNet ({TritonAddress.parse(path).model} on Triton)" if is_triton(path) else f"YuNet ({path.name})"


def detector_line(config: DetectorConfig) -> str:
    """Return the line for the terminal, with the whole path, and with Haar's weakness if `auto` chose Haar."""
    if not is_haar(config):
        path = yunet_file(config.detector_model)
        return f"detector: YuNet ({TritonAddress.parse(path) if is_triton(path) else path})"
    if config.detector == "haar":
        return f"detector: {_HAAR}"
    return (
        f"detector: {_HAAR}, which misses turned and small faces "
        f"(--detector yunet fetches a better one once, {NUM_BYTES / 1000:.0f} kB)"
    )
