"""The models of a plan: every machine takes those that the manifest records, and refuses others."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from fer_deploy import __version__
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.models import Models, opened_models
from fer_deploy.artifacts import bundled_files
from fer_deploy.detectors.config import DetectorName
from fer_deploy.detectors.yunet_file import ADDRESS, ENVIRONMENT_KEY, NUM_BYTES, SHA256, YuNetMissing
from fer_deploy.errors import ConfigError, argument
from fer_deploy.live.fingerprint.run_fingerprint import FORMAT

if TYPE_CHECKING:
    from fer_deploy.archive.manifest import About

_OFFICIAL: Final = f"{ADDRESS.rpartition('/')[2]} of {NUM_BYTES:,} bytes"


def with_detector(config: AnalyzeConfig, name: DetectorName) -> AnalyzeConfig:
    """Return the settings with a detector in place of `auto`; Haar has no scores, so no limit for them."""
    detection = config.detection
    if detection.detector != "auto":
        return config
    least = None if name == "haar" else detection.min_score
    named = detection.model_copy(update={"detector": name, "min_score": least})
    return config.model_copy(update={"detection": named})


def as_planned(config: AnalyzeConfig, about: "About") -> AnalyzeConfig:
    """Return the settings with the models of a manifest where they leave the choice to the machine.

    These are the bundled file of a family, which depends on the processor and on `fer-deploy bench`, and the detector,
    which depends on the files that are here.
    """
    recorded = about.config.detection.detector
    if config.detection.detector_model is None:
        config = with_detector(config, recorded)
    if config.engine is not None:
        return config
    file = next((one for one in bundled_files(config.model) if one.name == about.engine_name), None)
    return config if file is None else config.model_copy(update={"engine": file})


@contextmanager
def opened_as_planned(config: AnalyzeConfig, about: "About") -> Iterator[Models]:
    """Open the models of `as_planned`; raises FerDeployError."""
    with naming_the_yunet(about), opened_models(as_planned(config, about)) as models:
        yield models


@contextmanager
def naming_the_yunet(about: "About") -> Iterator[None]:
    """Name the file of the plan in the error that YuNet is not on this machine.

    Raises:
        YuNetMissing: in place of the one of the block.
    """
    try:
        yield
    except YuNetMissing as err:
        why, _, fix = str(err).partition(". Fix: ")
        sha256 = about.fingerprint.detector
        if sha256 == SHA256:
            raise YuNetMissing(f"{why}. The plan has {_OFFICIAL}, with SHA-256 {sha256}. Fix: {fix}") from err
        raise YuNetMissing(
            f"{why}. The plan has another YuNet, with SHA-256 {sha256}. Fix: copy that file to this machine, then "
            f"{argument('detector_model', 'FILE')}, or {ENVIRONMENT_KEY}=FILE"
        ) from err


def check_models(about: "About", fingerprint: Fingerprint, names: Mapping[str, str] | None = None) -> None:
    """Refuse to mix results of different models, settings or versions.

    Args:
        about: of the manifest.
        fingerprint: of this run.
        names: what the user calls a setting; see `Fingerprint.differences`.

    Raises:
        ConfigError: the manifest is of others.
    """
    differences = fingerprint.differences(about.fingerprint, names)
    if differences:
        raise ConfigError(
            f"the manifest is of another analysis; this run has {', '.join(differences)}. Fix: "
            f"{_mend(about, fingerprint)}; or archive plan into another --out"
        )


def check_version(about: "About") -> None:
    """Refuse to join segments by another version than the one that observed them: its rows may differ.

    Args:
        about: of the manifest.

    Raises:
        ConfigError: the manifest is of another version.
    """
    then = about.fingerprint
    if (then.version, then.format) == (__version__, FORMAT):
        return
    here = f"fer-deploy {__version__}"
    if then.version == __version__:
        here += f" with tables of format {FORMAT} instead of {then.format}"
    raise ConfigError(
        f"the archive was planned with fer-deploy {then.version}, and this is {here}: its rows may differ. Fix: join "
        f"it with fer-deploy {then.version}; or archive plan into another --out, and run that"
    )


def _mend(about: "About", here: Fingerprint) -> str:
    """Return what makes this run one of the manifest."""
    then, mends = about.fingerprint, list[str]()
    if here.engine != then.engine:
        mends.append(f"the model {about.engine_name}")
    if here.detector != then.detector and then.detector:
        official = f"{_OFFICIAL}, " if then.detector == SHA256 else ""
        mends.append(
            f"the YuNet of the plan ({official}SHA-256 {then.detector}) as {argument('detector_model', 'FILE')} or "
            f"{ENVIRONMENT_KEY}=FILE"
        )
    if (here.version, here.format) != (then.version, then.format):
        mends.append(f"fer-deploy {then.version}")
    if here.settings != then.settings:
        mends.append("the settings of the plan")
    return ", ".join(mends) or "the detector of the plan, haar"
