"""The repository on disk: what is written, what is refused, and that a failure leaves things as they were."""

import errno
import os
import shutil
import sys
from pathlib import Path

import pytest
from unit.fer_deploy.export.triton.triton_plans import write_plan

from fer_deploy.artifacts import bundled_model, file_sha256
from fer_deploy.errors import ArtifactError, ConfigError, ExportError, MissingDependencyError
from fer_deploy.export.triton import repository as triton
from fer_deploy.export.triton.config import parse_config
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository
from fer_deploy.flavors import Flavor

ONNX = bundled_model()


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def plan(tmp_path) -> Path:
    return write_plan(tmp_path / "net-fp16.plan")


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository that holds the bundled model."""
    write_triton_repository([ONNX], tmp_path / "repository")
    return tmp_path / "repository"


def test_files_of_both_variants(tmp_path, plan):
    out = tmp_path / "deep" / "repository"
    assert write_triton_repository([ONNX, plan], out) == [out / "senet-ferplus-fp16-onnx", out / "net-fp16-plan"]
    files = tree(out)
    assert sorted(files) == [
        "net-fp16-plan/1/model.plan",
        "net-fp16-plan/config.pbtxt",
        "net-fp16-plan/labels.txt",
        "senet-ferplus-fp16-onnx/1/model.onnx",
        "senet-ferplus-fp16-onnx/config.pbtxt",
        "senet-ferplus-fp16-onnx/labels.txt",
    ]
    assert files["senet-ferplus-fp16-onnx/1/model.onnx"] == ONNX.read_bytes()
    assert files["net-fp16-plan/1/model.plan"] == plan.read_bytes()
    assert (
        files["senet-ferplus-fp16-onnx/labels.txt"]
        == b"angry\ndisgust\nfear\nhappy\nsad\nsurprise\nneutral\ncontempt\n"
    )
    assert {p.name for p in out.iterdir()} == {"net-fp16-plan", "senet-ferplus-fp16-onnx"}


def test_other_users_may_read_it(repository):
    """A server in a container runs as another user."""
    umask = os.umask(0)
    os.umask(umask)
    assert (repository / "senet-ferplus-fp16-onnx").stat().st_mode & 0o777 == 0o777 & ~umask


class TestExistingFolder:
    def test_our_own_is_replaced(self, repository):
        write_triton_repository([ONNX], repository, settings=TritonSettings(max_batch_size=4))
        text = (repository / "senet-ferplus-fp16-onnx" / "config.pbtxt").read_text()
        assert parse_config(text, where="x").max_batch_size == 4
        assert [p.name for p in repository.iterdir()] == ["senet-ferplus-fp16-onnx"]

    def test_other_models_stay(self, repository):
        (repository / "other" / "1").mkdir(parents=True)
        (repository / "other" / "1" / "model.onnx").write_bytes(b"theirs")
        write_triton_repository([ONNX], repository)
        assert (repository / "other" / "1" / "model.onnx").read_bytes() == b"theirs"

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda m: (m / "config.pbtxt").unlink(), r"was not written by fer-deploy \(.*No such file"),
            (lambda m: (m / "config.pbtxt").write_text("colour: 3"), "was not written by fer-deploy .*colour"),
            (lambda m: (m / "config.pbtxt").write_text('name: "x"'), "no parameter fer_artifact_sha256"),
            (lambda m: shutil.copytree(m / "1", m / "2"), r"files that fer-deploy did not write: 2/model\.onnx"),
            (
                lambda m: (shutil.rmtree(m), m.write_text("a file")),
                r"was not written by fer-deploy \(.*Not a directory",
            ),
            (lambda m: (shutil.rmtree(m), m.symlink_to("nowhere")), r"was not written by fer-deploy"),
        ],
    )
    def test_a_foreign_one_is_refused(self, repository, plan, change, text):
        change(repository / "senet-ferplus-fp16-onnx")
        before = tree(repository)
        with pytest.raises(ExportError, match=rf"{text}.*Fix: move it away, or write into another folder"):
            write_triton_repository([plan, ONNX], repository)
        assert tree(repository) == before
        assert [p.name for p in repository.iterdir()] == ["senet-ferplus-fp16-onnx"]


class TestNothingHalfWritten:
    def test_full_disk_in_an_old_repository(self, monkeypatch, repository, plan):
        before = tree(repository)
        self._fill_disk_at(monkeypatch, plan)
        with pytest.raises(
            ExportError,
            match=r"cannot write senet-ferplus-fp16-onnx, net-fp16-plan into .*: No space left on device\. Nothing was",
        ):
            write_triton_repository([ONNX, plan], repository, settings=TritonSettings(max_batch_size=4))
        assert tree(repository) == before
        assert [p.name for p in repository.iterdir()] == ["senet-ferplus-fp16-onnx"]

    def test_full_disk_in_a_new_repository(self, monkeypatch, tmp_path, plan):
        self._fill_disk_at(monkeypatch, plan)
        with pytest.raises(ExportError, match="No space left"):
            write_triton_repository([ONNX, plan], tmp_path / "new")
        assert not (tmp_path / "new").exists()

    @staticmethod
    def _fill_disk_at(monkeypatch, artifact):
        real = shutil.copyfile

        def copy(source, target):
            if source != artifact:
                return real(source, target)
            Path(target).write_bytes(b"no")  # as much as there was room for
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(shutil, "copyfile", copy)

    def test_old_model_comes_back_when_the_new_one_cannot_take_its_place(self, monkeypatch, repository):
        before, real = tree(repository), os.replace

        def replace(source, target):
            if Path(target) == repository / "senet-ferplus-fp16-onnx" and not str(source).endswith(".old"):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(ExportError, match="Input/output error"):
            write_triton_repository([ONNX], repository, settings=TritonSettings(max_batch_size=4))
        assert tree(repository) == before

    def test_artifact_that_changes_while_it_is_copied(self, monkeypatch, tmp_path, plan):
        monkeypatch.setattr(shutil, "copyfile", lambda source, target: Path(target).write_bytes(b"newer"))
        with pytest.raises(ExportError, match=r"1/model\.plan is not the file whose sha256 is in the config"):
            write_triton_repository([plan], tmp_path / "new")
        assert not (tmp_path / "new").exists()

    def test_folder_is_a_file(self, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(
            ExportError, match=r"cannot write senet-ferplus-fp16-onnx into .*out: File exists\. .*another --out"
        ):
            write_triton_repository([ONNX], tmp_path / "out")
        assert (tmp_path / "out").read_text() == "x"


class TestArtifacts:
    def test_none(self, tmp_path):
        with pytest.raises(ConfigError, match=r"no artifact to serve\. Fix: --engine"):
            write_triton_repository([], tmp_path / "out")

    def test_of_tensorrt_rtx(self, tmp_path):
        plan = write_plan(tmp_path / "net.plan", flavor=Flavor.TENSORRT_RTX)
        with pytest.raises(
            ExportError, match=r"built with TensorRT for RTX, .*loads plans of TensorRT only\. Fix: build"
        ):
            write_triton_repository([ONNX, plan], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_plan_that_takes_no_single_image(self, tmp_path):
        plan = write_plan(tmp_path / "net.plan", profile=(4, 8, 16))
        with pytest.raises(ExportError, match=r"profile begins at a batch of 4, .*Fix: build it with a profile"):
            write_triton_repository([plan], tmp_path / "out")

    def test_plan_that_is_not_its_manifests(self, tmp_path, plan):
        plan.write_bytes(b"another")
        with pytest.raises(ArtifactError, match=r"is not the file that its manifest describes: sha256 .*Fix: build"):
            write_triton_repository([plan], tmp_path / "out")

    def test_plan_without_manifest(self, tmp_path, plan):
        (tmp_path / "net-fp16.plan.json").unlink()
        with pytest.raises(ArtifactError, match=r"has no net-fp16\.plan\.json beside it"):
            write_triton_repository([plan], tmp_path / "out")

    @pytest.mark.parametrize(
        ("name", "kind", "text"),
        [
            ("net.pt", ArtifactError, r"cannot serve .*net\.pt: expected \.onnx or \.plan\. Fix: fer-deploy export"),
            ("gone.onnx", ArtifactError, r"no model at .*gone\.onnx\. Fix: fer-deploy export"),
            ("a b.onnx", ExportError, r"a b\.onnx is not a valid model name for a URL"),
            ("broken.onnx", ArtifactError, r"cannot load .*broken\.onnx: truncated"),
        ],
    )
    def test_unusable(self, tmp_path, name, kind, text):
        if not name.startswith("gone"):
            (tmp_path / name).write_bytes(ONNX.read_bytes()[:1000])
        with pytest.raises(kind, match=text):
            write_triton_repository([tmp_path / name], tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_two_of_one_name(self, tmp_path):
        twin = shutil.copy(ONNX, tmp_path / ONNX.name)
        with pytest.raises(ConfigError, match=r"would both be the model senet-ferplus-fp16-onnx\. Fix: rename one"):
            write_triton_repository([ONNX, Path(twin)], tmp_path / "out")

    def test_digest_is_in_the_config(self, repository):
        text = (repository / "senet-ferplus-fp16-onnx" / "config.pbtxt").read_text()
        assert parse_config(text, where="x").parameters["fer_artifact_sha256"].string_value == file_sha256(ONNX)


@pytest.mark.parametrize("package", ["tritonclient", "google.protobuf", "grpc"])
def test_missing_package(monkeypatch, tmp_path, package):
    for name in list(sys.modules):
        if name.startswith(("tritonclient", "fer_deploy.export.triton.c")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError) as caught:
        triton.write_triton_repository([ONNX], tmp_path / "out")
    assert str(caught.value).endswith("Fix: pip install 'fer-toolchain[triton,cpu]'")
    assert package.split(".")[0] in str(caught.value)
