"""Checkpoint to verified ONNX: what is written, and that nothing is when anything fails."""

import json
import resource
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from integration.export_models import small_model, write_faces
from safetensors.numpy import save_file

from fer_deploy.artifacts import file_sha256
from fer_deploy.cli import main
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import ArtifactError, ConfigError, EngineError, ExportError, VerificationError
from fer_deploy.export import convert, pipeline, plans
from fer_deploy.export.checkpoint import draw_calibration_faces, load_judged_faces
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.pipeline import export
from fer_deploy.export.portrait import SOURCE, portrait_faces
from fer_deploy.export.variants import Variant
from fer_deploy.settings import load_settings
from fer_deploy.spec import SPEC_KEY, spec_from_json
from fer_train.checkpoint import save_release
from fer_train.models import build_model

TIGHT = {"fp32": {"max_abs_logit": 1e-12}}
NO_INT8 = ["fp32", "fp16"]
FEW = {"num_faces": 16}
"""Faces to calibrate on."""


@pytest.fixture(scope="module")
def model(tiny_onnx):
    return onnx.load(tiny_onnx, load_external_data=False)


class TestWrittenModel:
    def test_files_and_nothing_else(self, tiny_export):
        names = sorted(path.name for path in tiny_export.onnx.parent.iterdir())
        assert names == ["net-fp16.onnx", "net-fp32.onnx", "report.json", "report.md"]
        assert [path.name for path in tiny_export.models] == ["net-fp32.onnx", "net-fp16.onnx"]
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


@pytest.fixture
def quick_export(monkeypatch, small_network, small_onnx):
    """Seconds spared: the graph is a copy of `small_onnx`, compared on few faces; all around it is real."""
    monkeypatch.setattr(pipeline, "portrait_faces", lambda spec: portrait_faces(spec)[::27])
    monkeypatch.setattr(pipeline, "write_onnx", lambda graph, spec, path, opset: shutil.copy(small_onnx, path))


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder with what an earlier export left."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("small-fp32.onnx", "small-fp16.onnx", "report.json", "report.md"):
        (out / name).write_bytes(f"old {name}".encode())
    return out


@pytest.fixture(scope="session")
def faces_csv(tmp_path_factory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces") / "fer2013.csv", {"Training": 40, "PublicTest": 35})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def config_of(checkpoint: Path, out: Path, **values) -> ExportConfig:
    return load_settings(ExportConfig, None, {"checkpoint": checkpoint, "out": out, **values})


def forbidden(*args, **kwargs):
    raise AssertionError("must not be reached")


@contextmanager
def file_size_limit(num_bytes: int):
    """The kernel refuses longer files: a full disk, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("quick_export")
class TestGate:
    """A broken limit leaves the old artifacts, byte for byte, and a report that names the guilty stage."""

    def failure(self, config: ExportConfig, error=VerificationError) -> str:
        before = contents(config.out) if config.out.exists() else {}
        with pytest.raises(error) as caught:
            export(config)
        left = contents(config.out) if config.out.exists() else {}
        assert {name: content for name, content in left.items() if not name.startswith("report-failed.")} == before
        return str(caught.value)

    def test_plan_that_fits_and_does_not_load(self, small_release, out, monkeypatch):
        monkeypatch.setattr(plans, "judge", lambda manifest, host: [])
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        build = {"flavor": "tensorrt-rtx", "compute_capabilities": ["8.9"]}
        text = self.failure(config_of(small_release, out, variants=["fp32"], build=build))
        assert text.startswith("small-fp32.plan (stage engine): cannot load ")
        assert "No artifact was written. See" in text

    def test_fp32_ends_it_before_anything_is_made_of_it(self, small_release, out, faces_csv, monkeypatch):
        for name in ("fp16_artifact", "Int8Maker", "build_and_judge"):
            monkeypatch.setattr(pipeline, name, forbidden)
        ranges = {"num_faces": 20}
        text = self.failure(config_of(small_release, out, data=faces_csv, limits=TIGHT, calibration=ranges))
        assert "small-fp32.onnx (stage onnx) differs from PyTorch on 35 faces (PublicTest of fer2013.csv)" in text
        assert "(allowed 1e-12). No artifact was written. See" in text
        report = json.loads((out / "report-failed.json").read_text())
        assert [entry["name"] for entry in report["artifacts"]] == ["small-fp32.onnx"]
        assert report["failure"] in text
        assert "small-fp32.onnx (stage onnx) fails" in (out / "report-failed.md").read_text()
        assert (out / "report-failed.png").stat().st_size > 10_000

    def test_fp16(self, small_release, out):
        text = self.failure(config_of(small_release, out, limits={"fp16": {"max_abs_logit": 1e-6}}))
        assert "small-fp16.onnx (stage converted) differs" in text
        report = json.loads((out / "report-failed.json").read_text())
        assert [bool(entry["comparison"]["breaches"]) for entry in report["artifacts"]] == [False, True]

    def test_a_new_folder(self, small_release, tmp_path):
        self.failure(config_of(small_release, tmp_path / "new", limits=TIGHT))
        assert sorted(contents(tmp_path / "new")) == ["report-failed.json", "report-failed.md"]

    def test_success_takes_the_failed_report_away(self, small_release, out, faces_csv):
        values = {"data": faces_csv, "variants": NO_INT8}
        self.failure(config_of(small_release, out, limits=TIGHT, **values))
        assert len(list(out.glob("report-failed.*"))) == 3
        done = export(config_of(small_release, out, **values))
        assert list(out.glob("report-failed.*")) == []
        assert sorted(contents(out)) == ["report.json", "report.md", "report.png", "small-fp16.onnx", "small-fp32.onnx"]
        report = json.loads((out / "report.json").read_text())
        assert {e["name"]: e["sha256"] for e in report["artifacts"]} == {p.name: file_sha256(p) for p in done.models}

    def test_int8_without_a_budget_that_holds(self, small_release, out, faces_csv, monkeypatch):
        def refuse(*args, **kwargs):
            raise VerificationError("INT8 for cpu loses 9.00 points. Fix: train")

        monkeypatch.setattr(convert, "keep_budget", refuse)
        text = self.failure(
            config_of(small_release, out, data=faces_csv, variants=["fp32", "int8-cpu"], calibration=FEW)
        )
        assert text.startswith("small-int8-cpu.onnx (stage converted): INT8 for cpu loses 9.00 points. Fix: train")
        assert "No artifact was written. See" in text
        report = json.loads((out / "report-failed.json").read_text())
        assert report["failure"] == text.splitlines()[0]
        assert [entry["name"] for entry in report["artifacts"]] == ["small-fp32.onnx"]

    def test_the_first_guilty_stage_is_named(self, small_release, out, faces_csv, monkeypatch):
        def refuse(*args, **kwargs):
            raise VerificationError("INT8 for cpu loses 9.00 points")

        monkeypatch.setattr(convert, "keep_budget", refuse)
        limits = {"fp16": {"max_abs_logit": 1e-6}}
        text = self.failure(config_of(small_release, out, data=faces_csv, limits=limits, calibration=FEW))
        assert text.startswith("small-fp16.onnx (stage converted) differs")

    @pytest.mark.parametrize(("variant", "stage"), [("fp32", "onnx"), ("fp16", "converted")])
    def test_an_engine_that_fails(self, small_release, out, faces_csv, monkeypatch, variant, stage):
        """Also where nothing at all could be judged."""
        real = pipeline.open_artifact
        broken = FakeEngine(fail_at_call=0)

        monkeypatch.setattr(pipeline, "open_artifact", lambda a: broken if a.variant == variant else real(a))
        text = self.failure(config_of(small_release, out, data=faces_csv, variants=NO_INT8))
        assert text.startswith(f"small-{variant}.onnx (stage {stage}): in batches of 64: FakeEngine was told to fail")
        assert "report-failed.md" in text
        assert "FakeEngine was told to fail" in (out / "report-failed.md").read_text()

    def test_an_engine_that_does_not_open(self, small_release, out, monkeypatch):
        """ONNX Runtime warms up with batches of 1, 2 and 4 when it opens: a frozen batch shows up there."""

        def refuse(artifact):
            raise EngineError("CPUExecutionProvider failed to warm up")

        monkeypatch.setattr(pipeline, "open_artifact", refuse)
        text = self.failure(config_of(small_release, out))
        assert text.startswith("small-fp32.onnx (stage onnx): CPUExecutionProvider failed to warm up")

    def test_weights_that_are_not_finite(self, small_spec, out, tmp_path):
        model = small_model(small_spec)
        with torch.no_grad():
            model.blocks[1].branch[3].weight[0, 0, 0, 0] = torch.nan
        save_release(tmp_path / "nan.safetensors", model, small_spec.model_dump(mode="json", exclude_none=True))
        text = self.failure(config_of(tmp_path / "nan.safetensors", out))
        assert "PyTorch" in text
        assert "gave logits that are not finite" in text

    def test_weights_that_half_cannot_hold(self, small_release, out, small_onnx, tmp_path, monkeypatch):
        """They are refused, and neither clipped nor infinite."""
        model = onnx.load(small_onnx)
        (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "model.classifier.bias"]
        large = onnx.numpy_helper.to_array(bias) + 1e5  # of all labels alike: the probabilities stay
        bias.CopyFrom(onnx.numpy_helper.from_array(large.astype(np.float32), bias.name))
        monkeypatch.setattr(pipeline, "write_onnx", lambda graph, spec, path, opset: onnx.save(model, path))
        limits = {"fp32": {"max_abs_logit": 1e6, "max_batch_difference": 1.0, "min_agreement": 0.0}}
        text = self.failure(config_of(small_release, out, limits=limits), ExportError)
        assert "model.classifier.bias holds 1e+05; FP16 ends at 65504" in text

    def test_a_full_disk_at_publishing(self, small_release, out, monkeypatch):
        real = pipeline.write_together

        def on_a_full_disk(files):
            with file_size_limit(4096):
                real(files)

        monkeypatch.setattr(pipeline, "write_together", on_a_full_disk)
        text = self.failure(config_of(small_release, out), ExportError)
        assert "cannot write small-fp32.onnx, small-fp16.onnx, report.json, report.md into" in text
        assert "File too large. Nothing was changed" in text
        assert sorted(path.name for path in out.iterdir()) == sorted(contents(out))

    def test_a_full_disk_hides_no_failure(self, small_release, out, monkeypatch):
        real = pipeline.write_together

        def on_a_full_disk(files):
            with file_size_limit(100):
                real(files)

        monkeypatch.setattr(pipeline, "write_together", on_a_full_disk)
        text = self.failure(config_of(small_release, out, limits=TIGHT))
        assert "small-fp32.onnx (stage onnx) differs" in text
        assert "nor a report of it (cannot write report-failed.json" in text

    def test_a_full_temporary_folder(self, small_release, out):
        with file_size_limit(50_000):
            text = self.failure(config_of(small_release, out), ExportError)
        assert "cannot write temporary files into" in text
        assert "Fix: free space, or TMPDIR=" in text

    def test_a_report_that_cannot_be_written(self, small_release, out):
        (out / "report.md").unlink()
        (out / "report.md").mkdir()
        text = self.failure(config_of(small_release, out), ExportError)
        assert "cannot write" in text

    def test_out_is_a_file(self, small_release, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(ExportError, match=r"cannot write .* into .*out: File exists\. .*another --out"):
            export(config_of(small_release, tmp_path / "out"))
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
        assert (reference["faces"], reference["num_faces"]) == ("Training of fer2013.csv", 8)
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
            export(config_of(small_release, tmp_path / "out", data=faces_csv), tell=steps.append)
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
        with pytest.raises(
            ArtifactError, match=rf"the model knows {', '.join(labels)}; fer2013\.csv is labelled angry"
        ):
            load_judged_faces(faces_csv, split="PublicTest", limit=None, spec=spec)


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
