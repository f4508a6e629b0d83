"""Checkpoint to verified ONNX: what is written, and that nothing is when anything fails."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from fer_deploy.artifacts import file_sha256
from fer_deploy.cli import main
from fer_deploy.errors import ArtifactError, ExportError, VerificationError
from fer_deploy.export import pipeline
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.pipeline import export
from fer_deploy.export.portrait import SOURCE, portrait_faces
from fer_deploy.spec import SPEC_KEY, spec_from_json


@pytest.fixture(scope="module")
def model(tiny_onnx):
    return onnx.load(tiny_onnx, load_external_data=False)


class TestWrittenModel:
    def test_two_files_and_nothing_else(self, tiny_export):
        names = sorted(path.name for path in tiny_export.onnx.parent.iterdir())
        assert names == ["net-fp32.onnx", "net-fp32.verify.json"]

    def test_checker_and_shape_inference(self, tiny_onnx, model):
        onnx.checker.check_model(str(tiny_onnx), full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)

    def test_opset_is_pinned(self, model):
        assert {entry.domain: entry.version for entry in model.opset_import} == {"": 20}

    def test_input_and_output(self, model):
        (images,), (logits,) = model.graph.input, model.graph.output
        assert (images.name, logits.name) == ("images", "logits")
        assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert logits.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        dims = [dim.dim_param or dim.dim_value for dim in images.type.tensor_type.shape.dim]
        assert isinstance(dims[0], str)
        assert dims[1:] == [1, 48, 48]
        assert logits.type.tensor_type.shape.dim[1].dim_value == 7

    def test_no_external_data(self, model):
        assert all(t.data_location != onnx.TensorProto.EXTERNAL for t in model.graph.initializer)

    def test_metadata(self, model, tiny_spec):
        (prop,) = [prop for prop in model.metadata_props if prop.key == SPEC_KEY]
        assert spec_from_json(prop.value, where="x").labels == tuple(tiny_spec["labels"])

    def test_report(self, tiny_export):
        report = json.loads(tiny_export.report.read_text())
        assert report == {
            "onnx": "net-fp32.onnx",
            "sha256": file_sha256(tiny_export.onnx),
            "opset": 20,
            **tiny_export.agreement.to_dict(),
        }
        assert report["reference"].startswith("PyTorch ")
        assert "CPUExecutionProvider" in report["candidate"]
        assert (report["num_faces"], report["agreement"], report["faces"]) == (162, 1.0, SOURCE)
        assert 0 <= report["max_abs_logit"] <= 1e-3


@pytest.fixture
def quick_export(monkeypatch, tiny_onnx):
    """Seconds spared: the graph is a copy of `tiny_onnx`, compared on few faces; all around it is real."""
    monkeypatch.setattr(pipeline, "portrait_faces", lambda spec: portrait_faces(spec)[::27])
    monkeypatch.setattr(pipeline, "write_onnx", lambda graph, spec, path, opset: shutil.copy(tiny_onnx, path))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.usefixtures("quick_export")
class TestFailuresWriteNothing:
    @pytest.fixture
    def out(self, tmp_path) -> Path:
        out = tmp_path / "out"
        out.mkdir()
        (out / "net-fp32.onnx").write_bytes(b"old model")
        (out / "net-fp32.verify.json").write_bytes(b"old report")
        return out

    def test_verification(self, tiny_release, out):
        before = contents(out)
        with pytest.raises(VerificationError, match=r"\(allowed 1e-12\).*Nothing was written"):
            export(ExportConfig(checkpoint=tiny_release, out=out, max_abs_logit=1e-12))
        assert contents(out) == before
        assert len(list(out.iterdir())) == 2

    def test_verification_in_a_new_folder(self, tiny_release, tmp_path):
        with pytest.raises(VerificationError):
            export(ExportConfig(checkpoint=tiny_release, out=tmp_path / "new", max_abs_logit=1e-12))
        assert list(tmp_path.iterdir()) == []

    def test_report_that_cannot_be_written(self, tiny_release, out):
        (out / "net-fp32.verify.json").unlink()
        (out / "net-fp32.verify.json").mkdir()
        with pytest.raises(ExportError, match="cannot write into"):
            export(ExportConfig(checkpoint=tiny_release, out=out))
        assert contents(out) == {"net-fp32.onnx": b"old model"}

    def test_old_artifacts_are_replaced_on_success(self, tiny_release, tiny_onnx, out):
        export(ExportConfig(checkpoint=tiny_release, out=out))
        assert (out / "net-fp32.onnx").read_bytes() == tiny_onnx.read_bytes()
        assert json.loads((out / "net-fp32.verify.json").read_text())["sha256"] == file_sha256(tiny_onnx)

    def test_out_is_a_file(self, tiny_release, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(ExportError, match=r"cannot write into .*out: File exists\. Fix: another --out"):
            export(ExportConfig(checkpoint=tiny_release, out=tmp_path / "out"))
        assert (tmp_path / "out").read_text() == "x"


class TestCheckpoints:
    @pytest.mark.parametrize("name", ["missing", "folder", "empty", "truncated", "text", "foreign"])
    def test_unusable(self, tiny_release, tmp_path, name):
        path = tmp_path / "net.safetensors"
        text = "cannot load .* truncated or not a safetensors file"
        match name:
            case "missing":
                text = "no checkpoint at .*Fix: fer-train train"
            case "folder":
                path.mkdir()
            case "empty":
                path.touch()
            case "truncated":
                path.write_bytes(tiny_release.read_bytes()[:-1000])
            case "text":
                path.write_text("weights, honestly")
            case "foreign":
                save_file({"a": np.zeros(3, dtype=np.float32)}, path)
                text = "is a safetensors file without a ModelSpec"
        with pytest.raises(ArtifactError, match=text):
            export(ExportConfig(checkpoint=path, out=tmp_path / "out"))
        assert not (tmp_path / "out").exists()

    def test_weights_that_do_not_fit_their_spec(self, tiny_spec, tmp_path):
        from fer_train.checkpoint import save_release  # noqa: PLC0415
        from fer_train.models import build_model  # noqa: PLC0415

        path = tmp_path / "net.safetensors"
        save_release(path, build_model("net", num_classes=3), tiny_spec)
        with pytest.raises(ArtifactError, match="weights and ModelSpec do not fit each other"):
            export(ExportConfig(checkpoint=path, out=tmp_path / "out"))


@pytest.mark.usefixtures("quick_export")
class TestData:
    def test_faces_of_a_csv(self, tiny_release, tmp_path):
        path = tmp_path / "fer2013.csv"
        pixels = np.random.default_rng(0).integers(0, 256, (20, 48 * 48))
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["emotion", "pixels", "Usage"])
            writer.writerows([i % 7, " ".join(map(str, row)), "Training"] for i, row in enumerate(pixels))
        config = ExportConfig(checkpoint=tiny_release, out=tmp_path / "out", data=path, num_faces=8)
        report = json.loads(export(config).report.read_text())
        assert (report["faces"], report["num_faces"], report["agreement"]) == ("fer2013.csv", 8, 1.0)

    @pytest.mark.parametrize("content", [None, "a,b\n1,2\n"])
    def test_unusable_data(self, tiny_release, tmp_path, content):
        path = tmp_path / "faces.csv"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ArtifactError, match=r"faces\.csv"):
            export(ExportConfig(checkpoint=tiny_release, out=tmp_path / "out", data=path))
        assert not (tmp_path / "out").exists()


def test_portrait_variants_differ(tiny_spec):
    faces = portrait_faces(spec_from_json(json.dumps(tiny_spec), where="x").input)
    assert (faces.shape, faces.dtype) == ((162, 1, 48, 48), np.uint8)
    assert len(np.unique(faces.reshape(162, -1), axis=0)) == 162


@pytest.mark.usefixtures("quick_export")
class TestCli:
    def test_names_what_it_wrote(self, tiny_release, tmp_path):
        result = CliRunner().invoke(main, ["export", "--checkpoint", str(tiny_release), "--out", str(tmp_path / "o")])
        assert result.exit_code == 0, result.output
        assert str(tmp_path / "o" / "net-fp32.onnx") in result.stdout
        assert "max |Δlogit|" in result.stdout
        assert "same emotion 100.00% on 6 faces" in result.stdout

    def test_verification_error(self, tiny_release, tmp_path):
        config = tmp_path / "export.yaml"
        config.write_text(f"checkpoint: {tiny_release}\nout: {tmp_path / 'o'}\nmax_abs_logit: 1.0e-12\n")
        result = CliRunner().invoke(main, ["export", "--config", str(config)])
        assert result.exit_code == 6
        assert "error: " in result.stderr
        assert "Nothing was written" in result.stderr
