"""RunFingerprint: everything that the numbers of a run depend on, and `run`, its short name in tables."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.artifacts import file_sha256
from fer_deploy.errors import ConfigError
from fer_deploy.vision.tracking.baseline import Calm

FORMAT: Final = 3
"""Version of the tables and of the saved state of an analysis."""
FINGERPRINT_KEY: Final = "fer_fingerprint"
"""Key of the fingerprint's JSON in the metadata of Parquet tables."""
RUN: Final = "run"
"""Name of the last column of each table; in the metadata of Parquet tables it is `RUN_KEY`."""
RUN_KEY: Final = "fer_run"
_DIGITS: Final = 12
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
_OF_PICTURES: Final = ("video", "video_codec", "thumbnails", "pipeline.anonymize")
"""Settings that change videos and pictures, and no number."""
_SEGMENTS: Final = "frames_per_segment"
"""Changes numbers only if the detector does not look at every frame: it looks at the first one of each segment."""


class RunFingerprint(BaseModel):
    """Digests of what is analyzed and of the models, and every setting that affects results.

    Attributes:
        video: digest of the source, or digests of several; see `digest_of_video`.
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

    @property
    def run(self) -> str:
        """The short name of the run: r, and the first 12 hex digits of a SHA-256.

        It is that of the JSON of `of_numbers`. Every table of a run has it in its last
        column, `run`. The letter keeps programs from reading it as a number.
        """
        return f"r{hashlib.sha256(self.of_numbers().to_json().encode()).hexdigest()[:_DIGITS]}"

    def of_numbers(self) -> Self:
        """Return the fingerprint without the settings that change no number."""
        every = self.settings.get("pipeline.detect_every", 1)
        without = _OF_PICTURES if every not in (1, "auto") else (*_OF_PICTURES, _SEGMENTS)
        kept = {name: value for name, value in self.settings.items() if name not in without}
        return self.model_copy(update={"settings": kept})

    def to_json(self) -> str:
        """Return it as JSON; equal fingerprints give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    def metadata(self) -> dict[str, str]:
        """Return what the metadata of a Parquet table has of the run."""
        return {FINGERPRINT_KEY: self.to_json(), RUN_KEY: self.run}


def fingerprint_in(metadata: Mapping[bytes, bytes] | None) -> RunFingerprint | None:
    """Return the fingerprint in the metadata of a Parquet table; None if it has none, or one of another program."""
    text = (metadata or {}).get(FINGERPRINT_KEY.encode())
    try:
        return None if text is None else RunFingerprint.model_validate_json(text)
    except ValidationError:
        return None


def require_one_run(runs: Mapping[str, str | None], *, fix: str) -> None:
    """Check that tables which belong together are of one run.

    Args:
        runs: short name of the run by the name of the file; None or empty where the file does not say.
        fix: end of the message.

    Raises:
        ConfigError: they are of several runs.
    """
    known = {name: run for name, run in runs.items() if run}
    if len(set(known.values())) > 1:
        told = ", ".join(f"{name} is of run {run}" for name, run in known.items())
        raise ConfigError(f"tables of different runs are mixed: {told}. Fix: {fix}")


def settings_of(config: BaseModel, baseline: str | None, *, exclude: set[str] | None = None) -> dict[str, Any]:
    """Return the settings that affect results, by dotted name; files count by their digests.

    Args:
        config: of the run.
        baseline: setting `pipeline.people.baseline` of it.
        exclude: groups of settings without influence.

    Raises:
        ConfigError: the baseline's file cannot be read.
    """
    return _flat(config.model_dump(mode="json", exclude=exclude)) | _baseline(baseline)


def _baseline(text: str | None) -> dict[str, str]:
    """Return the setting of the baseline by the digest of its file, if it is a file."""
    file = None if text is None else Calm.of(text).file
    if file is None:
        return {}
    try:
        return {"pipeline.people.baseline": f"sha256:{file_sha256(file)}"}
    except OSError as err:
        raise ConfigError(f"cannot read the baseline {file}: {err.strerror}. Fix: check its path") from err


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name not in _WITHOUT_INFLUENCE:
            flat[prefix + name] = value
    return flat


def digest_of_files(paths: list[Path]) -> str:
    """Return a digest of the names and sizes of files; of a file that is missing, its name alone."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size if path.is_file() else -1
        digest.update(json.dumps([str(path.name), size]).encode(errors="surrogateescape"))
    return f"{len(paths)}:{digest.hexdigest()}"
