import shutil

import pytest
from unit.fer_deploy.engines.tensorrt.plan_files import write_plan

from fer_deploy.artifacts import bundled_model
from fer_deploy.bench.folder import read_artifact, read_folder
from fer_deploy.errors import ArtifactError
from fer_deploy.spec import Precision


@pytest.fixture
def folder(tmp_path):
    for precision in (Precision.FP16, Precision.INT8):
        shutil.copy(bundled_model(precision), tmp_path)
    return tmp_path


def test_artifacts_say_what_they_are(folder):
    fp16, int8 = read_folder(folder)[0]
    assert (fp16.kind, int8.kind) == ("fp16", "int8-cpu")
    assert (fp16.spec.precision, int8.spec.precision) == (Precision.FP16, Precision.INT8)
    assert fp16.num_bytes == fp16.path.stat().st_size


def test_the_exports_measurement_comes_with_the_file(folder):
    _, int8 = read_folder(folder)[0]
    assert int8.accuracy == pytest.approx(87.93, abs=0.01)
    assert int8.accuracy_change == pytest.approx(-0.094, abs=0.001)
    assert int8.agreement == pytest.approx(0.996, abs=0.001)
    assert int8.faces == "3,199 faces: PublicTest of fer2013.csv, FER+ majority"


def test_a_plan_is_described_by_its_manifest(tmp_path):
    plan = read_artifact(write_plan(tmp_path))
    assert (plan.kind, plan.spec.labels, plan.accuracy_change, plan.faces) == ("plan", ("dark", "bright"), None, "")


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("other.onnx", b"\x08\x08\x12\x00", "has no ModelSpec"),
        ("photo.onnx", b"\xff\xd8\xff" * 9, "it is a picture"),
        ("empty.onnx", b"", "is empty"),
        ("lone.plan", b"ftrt plan", "has no lone.plan.json"),
    ],
)
def test_files_that_are_none_are_skipped_with_the_reason(folder, name, content, text):
    (folder / name).write_bytes(content)
    artifacts, skipped = read_folder(folder)
    assert len(artifacts) == 2
    assert [one.what for one in skipped] == [name]
    assert text in skipped[0].reason


def test_a_pack_beside_artifacts_is_named(folder):
    (folder / "net.ferpack").touch()
    artifacts, skipped = read_folder(folder)
    assert len(artifacts) == 2
    assert [(one.what, one.reason) for one in skipped] == [
        (
            "net.ferpack",
            f"it is a pack. Fix: fer-deploy rebuild {folder / 'net.ferpack'} --out {folder / 'net'}, "
            "which measures it, too",
        )
    ]
    assert read_folder(folder, only=[artifacts[0].path.name])[1] == []


class TestBadFolders:
    def test_missing(self, tmp_path):
        with pytest.raises(ArtifactError, match=r"no folder .*none. Fix: fer-deploy export --checkpoint CHECKPOINT"):
            read_folder(tmp_path / "none")

    def test_a_file(self, folder):
        path = next(folder.glob("*.onnx"))
        with pytest.raises(ArtifactError, match=rf"is a file, .*Fix: fer-deploy bench {folder}$"):
            read_folder(path)

    def test_empty(self, tmp_path):
        with pytest.raises(ArtifactError, match=r"has no model \(\.onnx, \.plan, \.engine\)\. Fix: fer-deploy export"):
            read_folder(tmp_path)

    def test_one_level_too_high(self, folder):
        (folder.parent / "up").mkdir()
        inside = folder.rename(folder.parent / "up" / "net")
        with pytest.raises(ArtifactError, match=rf"Fix: fer-deploy bench {inside}, which has some"):
            read_folder(inside.parent)

    @pytest.mark.parametrize("is_file", [True, False])
    def test_a_pack_is_to_be_rebuilt(self, tmp_path, is_file):
        pack = tmp_path / "my net.ferpack"
        pack.touch()
        fix = rf"Fix: fer-deploy rebuild '{pack}' --out '{tmp_path / 'my net'}', which measures it, too$"
        with pytest.raises(ArtifactError, match=fix):
            read_folder(pack if is_file else tmp_path)

    def test_nothing_that_can_be_measured(self, tmp_path):
        (tmp_path / "a.onnx").write_bytes(b"")
        with pytest.raises(ArtifactError, match=r"none of the files .*:\n  a.onnx: .* is empty"):
            read_folder(tmp_path)

    def test_several_models(self, folder):
        shutil.copy(bundled_model(family="fer2013"), folder)
        with pytest.raises(ArtifactError, match=r"of 2 models: senet-ferplus \(senet-ferplus-fp16.onnx\), senet \("):
            read_folder(folder)
