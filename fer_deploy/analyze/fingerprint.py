"""Fingerprint: everything that results depend on. A run continues an earlier one only if it is unchanged."""

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict

from fer_deploy import __version__
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.artifacts import file_sha256
from fer_deploy.detectors import DetectorConfig
from fer_deploy.detectors.yunet_file import ENVIRONMENT_KEY, file_at_hand, yunet_file
from fer_deploy.engines import model_sha256
from fer_deploy.engines.network import network_sha256
from fer_deploy.errors import ConfigError, FerDeployError, StreamError, argument
from fer_deploy.live.file_names import file_and_stream
from fer_deploy.vision.tracking.baseline import Calm

FORMAT: Final = 2
"""Version of the tables and of the saved state of an analysis."""
FINGERPRINT_KEY: Final = "fer_fingerprint"
"""Key of the fingerprint's JSON in the metadata of Parquet tables."""
_SAMPLE_BYTES: Final = 2**20
_LIVE_SOURCES: Final = ("-", "synthetic")
_WITHOUT_INFLUENCE: Final = (
    "out",
    "model",
    "engine",
    "trust_plan",
    "allow_host_code",
    "segment_frames",
    "workers",
    "jobs",
    "detector_model",
)
"""Settings that change no result, or whose files are represented by their digests."""
_DETECTOR: Final = "detection.detector"
_NAMED_AS: Final = {"frames_per_segment": "segment_frames"}
"""Values that follow from a setting, and the setting."""


class Fingerprint(BaseModel):
    """Digests of video and models, and every setting that affects results.

    Attributes:
        video: size in bytes and SHA-256 of the first and last MiB.
        engine: SHA-256 of the model file.
        detector: SHA-256 of the detector's file; empty if it needs none.
        version: of this program.
        format: version of tables and saved state; 1 for those without the quality of faces.
        settings: values by dotted name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    video: str
    engine: str
    detector: str
    version: str
    format: int = 1
    settings: dict[str, Any]

    @classmethod
    def of(cls, video: Path, config: AnalyzeConfig, *, engine: Path, detector: Path | None) -> Self:
        """Compute the fingerprint; reads the files.

        Raises:
            StreamError: the video cannot be read.
        """
        return cls.with_digest(digest_of_video(video), config, engine=engine, detector=detector)

    @classmethod
    def with_digest(cls, video: str, config: AnalyzeConfig, *, engine: Path, detector: Path | None) -> Self:
        """Compute the fingerprint of a video whose digest is known; reads the model files, or asks their server."""
        settings = _flat(config.model_dump(mode="json")) | {"frames_per_segment": config.frames_per_segment}
        is_usual = config.takes_pictures == config.video
        settings |= _baseline(config) | {"thumbnails": None if is_usual else config.takes_pictures}
        settings[_DETECTOR] = "haar" if detector is None else "yunet"  # what `auto` chose
        return cls(
            video=video,
            engine=model_sha256(engine),
            detector="" if detector is None else network_sha256(detector),
            version=__version__,
            format=FORMAT,
            settings=settings,
        )

    def to_json(self) -> str:
        """Return it as JSON; equal fingerprints give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    def differences(self, then: "Fingerprint", names: Mapping[str, str] | None = None) -> list[str]:
        """Return the differences from `then` as text; empty if there are none.

        Args:
            then: of an earlier run.
            names: what the user calls a setting, such as its flag, by its dotted key; others have their key.
        """
        found = []
        if self.video != then.video:
            found.append("another video of that name")
        if self.engine != then.engine:
            found.append("another model (--engine)")
        if self.detector != then.detector:
            found.append(_detector_difference(self.detector, then.detector))
        if self.version != then.version:
            found.append(f"fer-deploy {self.version} instead of {then.version}")
        if self.format != then.format:
            found.append(f"results of format {self.format} instead of {then.format}")
        now, before = self._effective(), then._effective()
        if bool(self.detector) != bool(then.detector):
            now[_DETECTOR] = before.get(_DETECTOR)  # it was said
        now_then = ((key, now.get(key), before.get(key)) for key in sorted(now.keys() | before.keys()))
        shown = dict(names or {})
        return found + [_difference(shown, *three) for three in now_then if three[1] != three[2]]

    def _effective(self) -> dict[str, Any]:
        """Return the settings with the detector that ran; of older versions they may have `auto`."""
        is_auto = self.settings.get(_DETECTOR) == "auto"
        return self.settings | ({_DETECTOR: "yunet" if self.detector else "haar"} if is_auto else {})


def detector_file(config: DetectorConfig) -> Path | None:
    """Return the file of the detector's network, or None if it has none."""
    if config.detector == "haar":
        return None
    return file_at_hand(config.detector_model) if config.detector == "auto" else yunet_file(config.detector_model)


def _detector_difference(now: str, before: str) -> str:
    """Return the difference of two digests of detectors; empty is Haar. A file that the environment names is told."""
    if not now:
        return "Haar instead of YuNet"
    what = f"another {argument('detector_model')}" if before else "YuNet instead of Haar"
    named = os.environ.get(ENVIRONMENT_KEY)
    with suppress(OSError, FerDeployError):
        if named and network_sha256(Path(named)) == now:
            return f"{what} ({ENVIRONMENT_KEY} names it)"
    return what


def _baseline(config: AnalyzeConfig) -> dict[str, str]:
    """Return the setting of the baseline by the digest of its file, if it is a file."""
    text = config.pipeline.people.baseline
    file = None if text is None else Calm.of(text).file
    if file is None:
        return {}
    try:
        return {"pipeline.people.baseline": f"sha256:{file_sha256(file)}"}
    except OSError as err:
        raise ConfigError(f"cannot read the baseline {file}: {err.strerror}. Fix: check its path") from err


def _difference(names: Mapping[str, str], key: str, now: Any, before: Any) -> str:
    if key == "video":
        return "--video instead of --no-video" if now else "--no-video instead of --video"
    setting = _NAMED_AS.get(key, key)
    return f"{names.get(setting, setting)} {_text(now)} instead of {_text(before)}"


def _text(value: Any) -> str:
    """Return a setting's value in the form of a flag."""
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return "unset" if value is None else str(value)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name not in _WITHOUT_INFLUENCE:
            flat[prefix + name] = value
    return flat


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
