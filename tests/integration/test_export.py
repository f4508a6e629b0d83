"""Checkpoint to verified ONNX: what is written, and that nothing is when anything fails."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from integration.export_models import config_of, contents
from safetensors.numpy import save_file

from fer_deploy.artifacts import file_sha256
from fer_deploy.cli import main
from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.checkpoint import draw_calibration_faces, load_verification_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.pipeline import export
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.portrait import SOURCE, portrait_faces
from fer_deploy.spec import SPEC_KEY, spec_from_json
from fer_train.checkpoint import save_release
from fer_train.models import build_model

NO_INT8 = ["fp32", "fp16"]


@pytest.fixture(scope="module")
def model(tiny_onnx):
    return onnx.load(tiny_onnx, load_external_data=False)


class TestWrittenModel:
    def test_files_and_nothing_else(self, tiny_export):
        names = sorted(path.name for path in tiny_export.onnx.parent.iterdir())
        assert names == ["nano-fp16.onnx", "nano-fp32.onnx", "report.json", "report.md"]
        assert [path.name for path in tiny_export.models] == ["nano-fp32.onnx", "nano-fp16.onnx"]
        assert (tiny_export.plans, tiny_export.report.name) == ((), "report.md")

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
        report = json.loads(tiny_export.report.with_suffix(".json").read_text())
        assert {entry["name"]: entry["sha256"] for entry in report["artifacts"]} == {
            path.name: file_sha256(path) for path in tiny_export.models
        }
        assert report["opset"] == 20
        reference = report["reference"]
        assert reference["engine"].startswith("PyTorch ")
        assert (reference["faces"], reference["num_faces"], reference["scores"]) == (SOURCE, 18, None)
        for entry in report["artifacts"]:
            found = entry["comparison"]
            assert "CPUExecutionProvider" in found["candidate"]
            assert (found["num_faces"], found["breaches"]) == (18, [])
        assert report["artifacts"][0]["comparison"]["max_abs_logit"] <= 1e-3
        assert report["artifacts"][0]["comparison"]["agreement"] == 1

    def test_half_of_the_size(self, tiny_export):
        full, half = (path.stat().st_size for path in tiny_export.models)
        assert 0.45 * full < half < 0.55 * full


class TestCheckpoints:
    @pytest.mark.parametrize("name", ["missing", "folder", "empty", "truncated", "text", "foreign"])
    def test_unusable(self, tiny_release, tmp_path, name):
        path = tmp_path / "net.safetensors"
        text = "cannot load .* truncated or not a safetensors file"
        match name:
            case "missing":
                text = "no checkpoint at .*Fix: fer-train train"
            case "folder":
                text = "net.safetensors is a folder. Fix: a .safetensors file in it"
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
        path = tmp_path / "net.safetensors"
        save_release(path, build_model("net", num_classes=3), tiny_spec)
        with pytest.raises(ArtifactError, match="weights and ModelSpec do not fit each other"):
            export(ExportConfig(checkpoint=path, out=tmp_path / "out"))


@pytest.mark.usefixtures("quick_export")
class TestData:
    def test_faces_of_a_csv(self, small_release, tmp_path, faces_csv):
        values = {"data": faces_csv, "split": "Training", "num_faces": 8, "variants": NO_INT8}
        export(config_of(small_release, tmp_path / "out", **values))
        reference = json.loads((tmp_path / "out" / "report.json").read_text())["reference"]
        assert (reference["faces"], reference["num_faces"]) == ("Training of fer2013.csv, FER2013's labels", 8)
        assert set(reference["scores"]["recall"]) <= {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}

    @pytest.mark.parametrize("content", [None, "a,b\n1,2\n"])
    def test_unusable_data(self, small_release, tmp_path, content):
        path = tmp_path / "faces.csv"
        if content is not None:
            path.write_text(content)
        with pytest.raises(ArtifactError, match=r"faces\.csv"):
            export(config_of(small_release, tmp_path / "out", data=path))
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("values", [{"split": "PrivateTest"}, {"calibration": {"split": "PrivateTest"}}])
    def test_unknown_split(self, small_release, tmp_path, faces_csv, values):
        text = r"no split 'PrivateTest'; it has Training, PublicTest\. Fix: --split or --calibration-split"
        with pytest.raises(ArtifactError, match=text):
            export(config_of(small_release, tmp_path / "out", data=faces_csv, **values))
        assert not (tmp_path / "out").exists()

    def test_more_calibration_faces_than_there_are(self, small_release, tmp_path, faces_csv):
        with pytest.raises(ConfigError, match=r"calibration_faces is 512, but Training of fer2013\.csv has 40\. Fix"):
            export(config_of(small_release, tmp_path / "out", data=faces_csv))

    def test_faces_are_drawn_before_anything_is_run(self, small_release, tmp_path, faces_csv):
        steps = []
        with pytest.raises(ConfigError, match="calibration_faces is 512"):
            export(config_of(small_release, tmp_path / "out", data=faces_csv), on_message=steps.append)
        assert steps == []

    def test_calibration_faces_are_drawn_with_a_seed(self, faces_csv, small_spec):
        drawn = [
            draw_calibration_faces(faces_csv, split="Training", count=20, seed=seed, spec=small_spec)
            for seed in (1, 1, 2)
        ]
        first, again, other = (faces.images_nchw for faces in drawn)
        assert first.shape == (20, 1, 48, 48)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert len(np.unique(first.reshape(20, -1), axis=0)) == 20
        assert (drawn[2].seed, drawn[2].source) == (2, "Training of fer2013.csv")

    @pytest.mark.parametrize("labels", [("class_0", "class_1", "class_2"), ("happy", "sad")])
    def test_labels_that_the_model_does_not_know(self, faces_csv, small_spec, labels):
        spec = small_spec.model_copy(update={"labels": labels})
        with pytest.raises(ArtifactError, match=rf"the model has {', '.join(labels)}; fer2013\.csv is labelled angry"):
            load_verification_faces(faces_csv, split="PublicTest", limit=None, spec=spec)


def test_portrait_variants_differ(tiny_spec):
    faces = portrait_faces(spec_from_json(json.dumps(tiny_spec), where="x").input)
    assert (faces.shape, faces.dtype) == ((162, 1, 48, 48), np.uint8)
    assert len(np.unique(faces.reshape(162, -1), axis=0)) == 162


@pytest.mark.usefixtures("quick_export")
class TestCli:
    def run(self, *args: object):
        return CliRunner().invoke(main, ["export", *map(str, args)])

    def test_names_what_it_wrote(self, small_release, tmp_path):
        result = self.run("--checkpoint", small_release, "--out", tmp_path / "o", "--variant", "fp16")
        assert result.exit_code == 0, result.output
        fp16, report = result.stdout.splitlines()
        assert fp16.startswith(f"{tmp_path / 'o' / 'small-fp16.onnx'}: max |Δlogit| ")
        assert "same emotion 100.00% on 6 faces" in fp16
        assert report == f"report: {tmp_path / 'o' / 'report.md'}"
        assert sorted(contents(tmp_path / "o")) == ["report.json", "report.md", "small-fp16.onnx"]
        assert [line for line in result.stderr.splitlines() if line in ("fp32", "fp16")] == ["fp32", "fp16"]

    def test_a_triton_repository_of_the_written_files(self, small_release, tmp_path):
        repository = tmp_path / "models"
        result = self.run("--checkpoint", small_release, "--out", tmp_path / "o", "--triton", repository)
        assert result.exit_code == 0, result.output
        names = ["fp16", "fp32"]
        assert sorted(path.name for path in repository.iterdir()) == [f"small-{name}-onnx" for name in names]
        for name in names:
            served = (repository / f"small-{name}-onnx" / "1" / "model.onnx").read_bytes()
            assert served == (tmp_path / "o" / f"small-{name}.onnx").read_bytes()

    def test_says_what_it_left_out(self, small_release, tmp_path):
        result = self.run("--checkpoint", small_release, "--out", tmp_path / "o")
        assert result.exit_code == 0, result.output
        assert "INT8 was left out: its ranges need real faces. Fix: --data fer2013.csv" in result.stdout

    def test_verification_error(self, small_release, tmp_path):
        config = tmp_path / "export.yaml"
        config.write_text(
            f"checkpoint: {small_release}\nout: {tmp_path / 'o'}\nlimits: {{fp32: {{max_abs_logit: 1.0e-12}}}}\n"
        )
        result = self.run("--config", config)
        assert (result.exit_code, result.stdout) == (6, "")
        assert "error: small-fp32.onnx (stage onnx)" in result.stderr
        assert "No artifact was written" in result.stderr

    def test_unknown_split(self, small_release, tmp_path, faces_csv):
        result = self.run("--checkpoint", small_release, "--out", tmp_path / "o", "--data", faces_csv, "--split", "X")
        assert result.exit_code == 4
        assert "it has Training, PublicTest" in result.stderr


def test_all_variants_have_a_default_limit():
    assert set(ExportConfig(checkpoint=Path("a"), out=Path("o")).limits) == set(Variant)
