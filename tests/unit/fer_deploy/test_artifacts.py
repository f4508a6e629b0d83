import hashlib
from pathlib import Path

import pytest

from fer_deploy import artifacts
from fer_deploy.artifacts import bundled_model, file_sha256, require_file
from fer_deploy.errors import ArtifactError


def test_bundled_model_ships_with_the_package():
    assert bundled_model().name == "senet-ferplus-fp16.onnx"
    assert bundled_model().parent.parent.name == "fer_deploy"


def test_bundled_model_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(artifacts, "_MODELS", tmp_path)
    with pytest.raises(ArtifactError, match=r"no model at .*senet-ferplus-fp16\.onnx\. Fix: reinstall fer-toolchain"):
        bundled_model()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: None, "no model at {}. Fix: cure"),
        (lambda path: path.mkdir(), "{} is a folder, expected a model file. Fix: cure"),
        (lambda path: path.touch(), "{} is empty, expected a model file. Fix: cure"),
    ],
)
def test_require_file(tmp_path, make, text):
    path = tmp_path / "a.onnx"
    make(path)
    with pytest.raises(ArtifactError) as caught:
        require_file(path, fix="cure")
    assert str(caught.value) == text.format(path)


@pytest.mark.parametrize("address", ["http://host/model", "s3://bucket/model.onnx"])
def test_an_address_is_no_file(address):
    with pytest.raises(
        ArtifactError, match=rf"^{address} is an address, expected a file of this machine\. Fix: download"
    ):
        require_file(Path(address), fix="cure")


def test_require_file_returns_the_path(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"x")
    assert require_file(path, fix="cure") is path


def test_sha256(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"faces" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"faces" * 100_000).hexdigest()
