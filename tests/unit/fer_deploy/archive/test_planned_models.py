"""Tests for the models of a plan: every machine takes those of the manifest, or hears what is wrong."""

import re
from unittest.mock import Mock

import pytest
from integration.analyze_videos import make_models

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.archive.manifest import About
from fer_deploy.archive.planned_models import as_planned, check_models, naming_the_yunet, opened_as_planned
from fer_deploy.artifacts import bundled_files
from fer_deploy.detectors import DetectorConfig, yunet_file
from fer_deploy.errors import ArtifactError, ConfigError, with_flags_alone
from fer_deploy.live.fingerprint.sources import detector_file


def config(**settings) -> AnalyzeConfig:
    return AnalyzeConfig.model_validate({"out": "."} | settings)


@pytest.fixture
def about(tmp_path):
    return About.of(config(detection=DetectorConfig(min_score=0.7)), make_models(tmp_path / "engine.onnx"), 0.0)


def test_the_detector_that_was_found_is_named(about, tmp_path):
    assert (about.config.detection.detector, about.config.detection.min_score) == ("haar", None)
    with_yunet = make_models(tmp_path / "engine.onnx")._replace(detector_file=tmp_path / "engine.onnx")
    of_yunet = About.of(config(detection=DetectorConfig(min_score=0.7)), with_yunet, 0.0)
    assert (of_yunet.config.detection.detector, of_yunet.config.detection.min_score) == ("yunet", 0.7)


@pytest.mark.parametrize("file", bundled_files("ferplus"))
def test_the_bundled_file_of_the_plan_is_taken_on_every_processor(about, file):
    recorded = about.model_copy(update={"engine_name": file.name})
    planned = as_planned(config(), recorded)
    assert (planned.engine_file, planned.detection.detector) == (file, "haar")


def test_what_the_user_names_is_taken(about, tmp_path):
    own = config(engine=tmp_path / "own.onnx", detection=DetectorConfig(detector="yunet"))
    assert as_planned(own, about) == own


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"engine": "b"}, r"this run has another model \(--engine\)\. Fix: the model engine\.onnx; or archive plan"),
        (
            {"detector": "b"},
            r"this run has YuNet instead of Haar\. Fix: the detector of the plan, haar; or archive plan",
        ),
        ({"version": "9"}, r"Fix: fer-deploy \d\S+; or archive plan"),
        ({"settings": {}}, r"Fix: the settings of the plan; or archive plan"),
    ],
)
def test_others_are_refused_with_their_mend(here, said, about, monkeypatch):
    monkeypatch.delenv("FER_YUNET", raising=False)
    with pytest.raises(ConfigError, match=said):
        check_models(about, about.fingerprint.model_copy(update=here))


def test_another_yunet_is_refused_by_its_digest(about):
    then = about.model_copy(
        update={"fingerprint": about.fingerprint.model_copy(update={"detector": "abcdef0123456789"})}
    )
    with pytest.raises(ConfigError) as caught:
        check_models(then, about.fingerprint.model_copy(update={"detector": "b"}))
    mend = "Fix: the YuNet of the plan (SHA-256 abcdef0123456789) as --detector-model FILE or FER_YUNET=FILE; or"
    assert mend in with_flags_alone(str(caught.value))


OFFICIAL = "The plan has face_detection_yunet_2026may.onnx of 229,738 bytes, with SHA-256 ebafce4e3c11"


@pytest.mark.parametrize(
    ("sha256", "said"),
    [
        (yunet_file.SHA256, rf"no route\. {OFFICIAL}.*\. Fix: curl .* -o {{cache}} https://.*, or FER_YUNET=FILE$"),
        (
            "ab" * 32,
            r"no route\. The plan has another YuNet, with SHA-256 (ab){{32}}\. Fix: copy that file to this machine, "
            r"then --detector-model FILE, or FER_YUNET=FILE$",
        ),
    ],
)
def test_a_yunet_that_cannot_be_downloaded_is_named_as_in_the_plan(sha256, said, about, monkeypatch, tmp_path):
    monkeypatch.delenv("FER_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("fer_deploy.detectors.download.fetch", Mock(side_effect=OSError("no route")))
    then = about.model_copy(update={"fingerprint": about.fingerprint.model_copy(update={"detector": sha256})})
    of_yunet = config(detection=DetectorConfig(detector="yunet"))
    expected = said.format(cache=re.escape(str(yunet_file.cache_file())))
    with pytest.raises(ArtifactError) as in_command, naming_the_yunet(then):
        detector_file(of_yunet.detection)
    with pytest.raises(ArtifactError) as in_worker, opened_as_planned(of_yunet, then):
        pass
    for caught in (in_command, in_worker):
        assert re.search(expected, with_flags_alone(str(caught.value)))
