"""What is not as it was, in words that a user gave."""

import pytest

from fer_deploy.analyze.checkpoint import check_same
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.artifacts import file_sha256
from fer_deploy.errors import ConfigError
from fer_deploy.settings import load_settings

NAMES = {
    "detection.min_face": "--min-face",
    "detection.roi": "--roi",
    "pipeline.people.smoothing_s": "--smoothing",
    "segment_frames": "--segment-frames",
}


def fingerprint(tmp_path, **settings):
    (tmp_path / "file").touch()
    config = load_settings(AnalyzeConfig, None, {"out": tmp_path} | settings)
    return Fingerprint.of(tmp_path / "file", config, engine=tmp_path / "file", detector=None)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"video": False}, "--no-video instead of --video"),
        ({"detection": {"min_face": 40}}, "--min-face 40 instead of unset"),
        ({"detection": {"roi": "0,0,0.5,1"}}, "--roi 0.0,0.0,0.5,1.0 instead of unset"),
        ({"pipeline": {"people": {"smoothing_s": 2.0}}}, "--smoothing 2.0 instead of "),
        ({"segment_frames": 48}, "--segment-frames 48 instead of "),
        ({"pipeline": {"people": {"keep_s": 9.0}}}, "pipeline.people.keep_s 9.0 instead of "),
    ],
)
def test_settings_by_their_flags(tmp_path, settings, text):
    (difference,) = fingerprint(tmp_path, **settings).differences(fingerprint(tmp_path), NAMES)
    assert difference.startswith(text)


@pytest.mark.parametrize(
    ("now", "then", "text"),
    [
        ("of the file", "another", "another detector_model (--detector-model) (FER_YUNET names it)"),
        ("of the file", "", "YuNet instead of Haar (FER_YUNET names it)"),
        ("of a third file", "another", "another detector_model (--detector-model)"),
        ("of a third file", "", "YuNet instead of Haar"),
        ("", "another", "Haar instead of YuNet"),
    ],
)
def test_a_detector_that_the_environment_names(now, then, text, tmp_path, monkeypatch):
    (tmp_path / "yunet.onnx").write_bytes(b"a detector")
    monkeypatch.setenv("FER_YUNET", str(tmp_path / "yunet.onnx"))
    digest = file_sha256(tmp_path / "yunet.onnx") if now == "of the file" else now
    one, other = (fingerprint(tmp_path).model_copy(update={"detector": detector}) for detector in (digest, then))
    assert one.differences(other) == [text]
    haar = r"Fix: --detector haar, --restart" if now and not then else r"Fix: --restart"
    with pytest.raises(ConfigError, match=haar):
        check_same(one, other, tmp_path)


def test_auto_is_what_it_chose(tmp_path):
    by_name, by_auto = (fingerprint(tmp_path, detection={"detector": name}) for name in ("haar", "auto"))
    assert by_name == by_auto
    older = by_auto.model_copy(update={"settings": by_auto.settings | {"detection.detector": "auto"}})
    assert by_name.differences(older) == older.differences(by_name) == []


def test_nothing(tmp_path):
    assert fingerprint(tmp_path).differences(fingerprint(tmp_path)) == []


def test_a_baseline_counts_by_its_content(tmp_path):
    def of(text):
        (tmp_path / "faces.csv").write_text(text)
        return fingerprint(tmp_path, pipeline={"people": {"baseline": str(tmp_path / "faces.csv")}})

    one, other = of("a"), of("b")
    assert one.differences(of("a")) == []
    (difference,) = one.differences(other, {"pipeline.people.baseline": "--baseline"})
    assert difference.startswith("--baseline sha256:ca978112")
    assert str(tmp_path) not in one.model_dump_json()
    with pytest.raises(ConfigError, match=r"cannot read the baseline .*none\.csv: No such file"):
        fingerprint(tmp_path, pipeline={"people": {"baseline": str(tmp_path / "none.csv")}})


def test_results_without_quality_are_not_continued(tmp_path):
    now = fingerprint(tmp_path)
    then = Fingerprint.model_validate(now.model_dump(exclude={"format"}))
    assert now.differences(then) == ["results of format 3 instead of 1"]


def test_a_setting_without_a_name_has_its_key(tmp_path):
    (difference,) = fingerprint(tmp_path, detection={"min_face": 40}).differences(fingerprint(tmp_path))
    assert difference == "detection.min_face 40 instead of unset"
