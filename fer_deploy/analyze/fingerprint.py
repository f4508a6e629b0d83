"""Fingerprint of an analysis. A run continues an earlier one only if it is unchanged."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from fer_deploy import __version__
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.detectors.yunet_file import ENVIRONMENT_KEY
from fer_deploy.engines import model_sha256
from fer_deploy.engines.network import network_sha256
from fer_deploy.errors import FerDeployError, argument
from fer_deploy.live.fingerprint.run_fingerprint import FORMAT, RunFingerprint, settings_of
from fer_deploy.live.fingerprint.sources import digest_of_video

_DETECTOR: Final = "detection.detector"
_NAMED_AS: Final = {"frames_per_segment": "segment_frames"}
"""Values that follow from a setting, and the setting."""


class Fingerprint(RunFingerprint):
    """Fingerprint of the analysis of a recording; `video` is the file's size and the SHA-256 of its ends."""

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
        settings = settings_of(config, config.pipeline.people.baseline)
        is_usual = config.takes_pictures == config.video
        settings |= {"frames_per_segment": config.frames_per_segment}
        settings |= {"thumbnails": None if is_usual else config.takes_pictures}
        settings[_DETECTOR] = "haar" if detector is None else "yunet"  # what `auto` chose
        return cls(
            video=video,
            engine=model_sha256(engine),
            detector="" if detector is None else network_sha256(detector),
            version=__version__,
            format=FORMAT,
            settings=settings,
        )

    def differences(self, then: RunFingerprint, names: Mapping[str, str] | None = None) -> list[str]:
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
        now, before = _effective(self), _effective(then)
        if bool(self.detector) != bool(then.detector):
            now[_DETECTOR] = before.get(_DETECTOR)  # it was said
        now_then = ((key, now.get(key), before.get(key)) for key in sorted(now.keys() | before.keys()))
        shown = dict(names or {})
        return found + [_difference(shown, *three) for three in now_then if three[1] != three[2]]


def _effective(of: RunFingerprint) -> dict[str, Any]:
    """Return the settings with the detector that ran; of older versions they may have `auto`."""
    is_auto = of.settings.get(_DETECTOR) == "auto"
    return of.settings | ({_DETECTOR: "yunet" if of.detector else "haar"} if is_auto else {})


def _detector_difference(now: str, before: str) -> str:
    """Return the difference of two digests of detectors; empty is Haar. A file from the environment is named."""
    if not now:
        return "Haar instead of YuNet"
    what = f"another {argument('detector_model')}" if before else "YuNet instead of Haar"
    named = os.environ.get(ENVIRONMENT_KEY)
    with suppress(OSError, FerDeployError):
        if named and network_sha256(Path(named)) == now:
            return f"{what} ({ENVIRONMENT_KEY} names it)"
    return what


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
