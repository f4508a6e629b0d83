import os

import pytest

from fer_deploy import __version__
from fer_deploy.artifacts import bundled_files, file_sha256
from fer_deploy.cli.doctor import bundled_models
from fer_deploy.engines import bundled_model_for
from fer_deploy.engines.best import Best, Entry, Fingerprint
from fer_deploy.engines.bundled_best import bundled_best, bundled_best_file
from fer_deploy.engines.config import EngineChoice

FP16, INT8 = sorted(bundled_files("ferplus"), key=lambda path: "int8" in path.name)


def entry(path, device="cpu", **changes):
    fields = {
        "file": path.name,
        "sha256": file_sha256(path),
        "device": device,
        "threads": 1,
        "spinning": False,
        "engine": "an engine",
        "batch": 1,
        "p50_ms": 1.0,
        "p99_ms": 1.0,
        "per_s": 1000.0,
        "is_stable": True,
        "is_usable": True,
        "verdict": "best",
    }
    return Entry(**{**fields, **changes})


def best(**changes):
    fields = {
        "goal": "latency",
        "latency_budget_ms": None,
        "max_accuracy_drop": 1.0,
        "measured": "2026-11-29T10:00:00",
        "version": __version__,
        "is_quick": False,
        "fingerprint": Fingerprint.of_this_machine(),
        "uses": {"workers": (entry(FP16, "openvino"), entry(INT8))},
    }
    return Best(**{**fields, **changes})


@pytest.fixture
def keep(tmp_path, monkeypatch):
    """Write what was measured into the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def write(found):
        file = bundled_best_file("ferplus")
        file.parent.mkdir(parents=True, mode=0o700)
        file.write_bytes(found if isinstance(found, bytes) else found.to_bytes())
        file.chmod(0o600)
        return file

    return write


def test_what_was_measured_is_used_and_says_so(keep):
    keep(best())
    found = bundled_best("ferplus")
    assert (found.chosen.path, found.chosen.device, found.why_not) == (FP16, "openvino", "")
    assert found.chosen.line == (
        "best bundled model here for latency with a worker on each core, one thread a call, measured 2026-11-29"
    )
    assert bundled_best("fer2013") == (None, "")
    choice = EngineChoice()
    assert (choice.engine_file, choice.choice_line) == (FP16, found.chosen.line)
    assert EngineChoice(model="fer2013").choice_line == ""
    assert bundled_models()["ferplus"] == f"{FP16.name}, {found.chosen.line}"


def test_the_user_s_device_and_file_come_first(keep):
    keep(best())
    assert bundled_best("ferplus", "cpu").chosen.path == INT8
    assert bundled_best("ferplus", "cuda") == (None, "")
    assert EngineChoice(engine=INT8).engine_file == INT8
    assert EngineChoice(engine=INT8).choice_line == ""


def test_what_breaks_a_limit_is_not_chosen(keep):
    keep(best(uses={"workers": (entry(FP16, is_usable=False), entry(INT8))}))
    assert bundled_best("ferplus").chosen.path == INT8


def test_the_number_of_cores_does_not_matter(keep):
    other = Fingerprint.of_this_machine().model_copy(update={"cores": 128})
    keep(best(fingerprint=other))
    assert bundled_best("ferplus").chosen.path == FP16


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda: best(version="0.0.1"), f"measured with fer-deploy 0.0.1, this is {__version__}"),
        (
            lambda: best(fingerprint=Fingerprint.of_this_machine().model_copy(update={"cpu": "a 486"})),
            ", measured: a 486",
        ),
        (
            lambda: best(uses={"workers": (entry(FP16, sha256="0" * 64),)}),
            f"{FP16.name} is not the file that was measured",
        ),
        (lambda: best(uses={"workers": (entry(FP16, file="passwd"),)}), "passwd is not the file that was measured"),
        (lambda: b"{", "is not of this version"),
    ],
    ids=["version", "CPU", "digest", "other file", "damaged"],
)
def test_what_is_outdated_is_ignored_and_doctor_says_why(keep, found, why):
    keep(found())
    ignored = bundled_best("ferplus")
    assert ignored.chosen is None
    assert ignored.why_not.endswith(why)
    assert EngineChoice().engine_file == bundled_model_for("auto")
    text = bundled_models()["ferplus"]
    assert text.startswith("INT8 or FP16, by the kind of CPU; an outdated measurement is ignored: ")
    assert text.endswith(f": {ignored.why_not}. Fix: fer-deploy bench")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no modes of files")
def test_a_file_that_others_may_write_is_ignored(keep):
    keep(best()).chmod(0o666)
    assert "can be written by others" in bundled_best("ferplus").why_not


def test_without_a_measurement_doctor_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (
        bundled_models()["ferplus"]
        == "INT8 or FP16, by the kind of CPU; fer-deploy bench measures which is faster here"
    )
