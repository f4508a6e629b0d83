"""Fingerprint of a live run, and digests of what it reads."""

import hashlib
import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fer_deploy import __version__
from fer_deploy.detectors import DetectorConfig
from fer_deploy.detectors.yunet_file import file_at_hand, yunet_file
from fer_deploy.engines import model_sha256
from fer_deploy.engines.config import EngineChoice
from fer_deploy.engines.network import network_sha256
from fer_deploy.errors import StreamError
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.file_names import file_and_stream
from fer_deploy.live.fingerprint.run_fingerprint import FORMAT, RunFingerprint, digest_of_files, settings_of
from fer_deploy.privacy.redaction import without_password

_SAMPLE_BYTES: Final = 2**20
_LIVE_SOURCES: Final = ("-", "synthetic")
_NO_INFLUENCE: Final = {"source", "stream", "output"}
"""Groups of settings: where frames come from is in the digests, and where results go changes none."""


def fingerprint_of_run(
    config: EngineChoice, pipeline: PipelineConfig, detection: DetectorConfig, sources: str
) -> RunFingerprint:
    """Return the fingerprint of a run that is no analysis of a recording.

    Args:
        config: all settings.
        pipeline: a group of them.
        detection: another one.
        sources: digest of what is analyzed, such as of `digest_of_sources`.

    Raises:
        FerDeployError: a file cannot be read, or a server does not answer.
    """
    detector = detector_file(detection)
    return RunFingerprint(
        video=sources,
        engine=model_sha256(config.engine_file),
        detector="" if detector is None else network_sha256(detector),
        version=__version__,
        format=FORMAT,
        settings=settings_of(config, pipeline.people.baseline, exclude=_NO_INFLUENCE),
    )


def digest_of_sources(sources: Sequence[str]) -> str:
    """Return a digest of sources as the user wrote them.

    A recording counts by its content, a folder by the names and sizes of its files. A camera or stream has no content
    yet, so it counts by its name and by the time at which it was opened: two runs of it are two runs.
    """
    return " ".join(map(_digest_of_source, sources))


def _digest_of_source(text: str) -> str:
    path = Path(text)
    if text not in _LIVE_SOURCES and "://" not in text:
        if path.is_dir():
            return digest_of_files(sorted(path.iterdir()))
        if file_and_stream(path)[0].is_file():
            return digest_of_video(path)
    return f"{without_password(text)}@{datetime.now(UTC).isoformat(timespec='milliseconds')}"


def detector_file(config: DetectorConfig) -> Path | None:
    """Return the file of the detector's network, or None if it has none."""
    if config.detector == "haar":
        return None
    return file_at_hand(config.detector_model) if config.detector == "auto" else yunet_file(config.detector_model)


def digest_of_video(video: Path) -> str:
    """Return the file's size and the digest of both ends; reading hours of video would take as long as decoding it.

    The text includes the number of the stream if the user chose one.
    """
    path, stream = file_and_stream(video)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _SAMPLE_BYTES))
            digest.update(file.read(_SAMPLE_BYTES))
    except IsADirectoryError as err:
        raise StreamError(
            f"{video} is a folder, expected a video. Fix: fer-deploy analyze {shlex.quote(str(video))}/*.mp4"
        ) from err
    except OSError as err:
        is_source = video.name.isdecimal() or video.name in _LIVE_SOURCES
        fix = f"fer-deploy live --source {video}" if is_source else "check path and permissions"
        raise StreamError(f"cannot read the video {video}: {err.strerror}. Fix: {fix}") from err
    return f"{size}:{digest.hexdigest()}" + ("" if stream is None else f"#{stream}")
