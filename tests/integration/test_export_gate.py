"""The gate: what is left of an export that failed."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from integration.export_models import config_of, contents, failure_of, small_model

from fer_deploy.artifacts import file_sha256
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import ArtifactError, EngineError, ExportError, MissingDependencyError, VerificationError
from fer_deploy.export import pipeline
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.int8 import convert
from fer_deploy.export.pipeline import export
from fer_deploy.export.plan import plans
from fer_deploy.export.verify.slices import Slice, degraded
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_train.checkpoint import save_release
from fer_train.data import read_faces

TIGHT = {"fp32": {"max_abs_logit": 1e-12}}
NO_INT8 = ["fp32", "fp16"]
FEW = {"num_faces": 16}
"""Faces to calibrate on."""


def judged_images(faces_csv: Path):
    """Return the judged faces of `faces_csv`, (35, 1, 48, 48) uint8."""
    found = read_faces(faces_csv)
    return found.select(found.splits == "PublicTest").images[:, None]


def forbidden(*args, **kwargs):
    raise AssertionError("must not be reached")


@pytest.mark.usefixtures("quick_export")
class TestGate:
    """What fails leaves the old artifacts, byte for byte, and a report that names the guilty stage."""

    def partly(self, config: ExportConfig, written: set[str], error=VerificationError) -> tuple[str, dict]:
        """Return the error and the report of an export that failed in part; all but `written` is as it was."""
        before = contents(config.out)
        with pytest.raises(error) as caught:
            export(config)
        left = contents(config.out)
        reports = {name for name in left if name.startswith("report.")}
        assert {name for name in left if left[name] != before.get(name)} == written | reports
        report = json.loads((config.out / "report.json").read_text())
        entries = [*report["artifacts"], *report["plans"]]
        assert {entry["name"] for entry in entries if entry["written"]} == {
            name for name in written if not name.endswith(".json")
        }
        told = without_folders_in_text(str(caught.value))
        assert told.startswith(report["failure"].splitlines()[0].split("; small-")[0])
        assert f"See {config.out / 'report.md'}." in str(caught.value)
        return str(caught.value), report

    def test_plan_that_fits_and_does_not_load(self, small_release, out, monkeypatch):
        monkeypatch.setattr(plans, "find_mismatches", lambda manifest, host: [])
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        build = {"flavor": "tensorrt-rtx", "compute_capabilities": ["8.9"]}
        config = config_of(small_release, out, variants=["fp32"], build=build)
        text, report = self.partly(config, {"small-fp32.onnx"})
        assert text.startswith("small-fp32.plan (stage engine): cannot load ")
        assert f"Still written: small-fp32.onnx in {out}. See" in text
        assert report["plans"] == []

    def test_a_plan_that_the_builder_refuses(self, small_release, out, monkeypatch):
        """The models and the other plan took eight minutes, and nothing of them was left."""
        real = pipeline.build_and_verify

        def refuse(onnx, *rest):
            if "fp16" in onnx.name:
                raise ExportError("TensorRT for RTX built small-fp16.onnx with another precision. Fix: other")
            return real(onnx, *rest)

        monkeypatch.setattr(pipeline, "build_and_verify", refuse)
        build = {"flavor": "tensorrt-rtx", "compute_capabilities": ["8.9"]}
        config = config_of(small_release, out, variants=NO_INT8, build=build)
        written = {"small-fp32.onnx", "small-fp16.onnx", "small-fp32.plan", "small-fp32.plan.json"}
        text, report = self.partly(config, written, ExportError)
        assert text.startswith("small-fp16.plan (stage engine): TensorRT for RTX built small-fp16.onnx with another")
        assert "Still written: small-fp32.onnx, small-fp16.onnx, small-fp32.plan in" in text
        assert [plan["name"] for plan in report["plans"]] == ["small-fp32.plan"]

    def test_a_flavor_that_is_not_installed_costs_no_export(self, small_release, out, monkeypatch):
        monkeypatch.setattr(pipeline, "TorchEngine", forbidden)
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
        text = failure_of(config_of(small_release, out, build={"flavor": "tensorrt-rtx"}), MissingDependencyError)
        assert "the flavor tensorrt-rtx needs the package tensorrt_rtx" in text

    def test_fp32_ends_it_before_anything_is_made_of_it(self, small_release, out, faces_csv, monkeypatch):
        for name in ("fp16_artifact", "Int8Maker", "build_and_verify"):
            monkeypatch.setattr(pipeline, name, forbidden)
        ranges = {"num_faces": 20}
        text = failure_of(config_of(small_release, out, data=faces_csv, limits=TIGHT, calibration=ranges))
        assert (
            "small-fp32.onnx (stage onnx) differs from PyTorch on 35 faces "
            "(PublicTest of fer2013.csv, FER2013's labels)" in text
        )
        assert "(allowed 1e-12). Fix: other limits in the config, or another checkpoint\nNo artifact was" in text
        report = json.loads((out / "report-failed.json").read_text())
        assert [entry["name"] for entry in report["artifacts"]] == ["small-fp32.onnx"]
        assert report["failure"] in text
        assert "small-fp32.onnx (stage onnx) fails" in (out / "report-failed.md").read_text()
        assert (out / "report-failed.png").stat().st_size > 10_000

    def test_fp16(self, small_release, out):
        config = config_of(small_release, out, limits={"fp16": {"max_abs_logit": 1e-6}})
        text, report = self.partly(config, {"small-fp32.onnx"})
        assert text.startswith("small-fp16.onnx (stage converted) differs")
        assert "small-fp16.onnx (not written)" in (out / "report.md").read_text()
        assert [bool(entry["comparison"]["breaches"]) for entry in report["artifacts"]] == [False, True]

    def test_a_new_folder(self, small_release, tmp_path):
        failure_of(config_of(small_release, tmp_path / "new", limits=TIGHT))
        assert sorted(contents(tmp_path / "new")) == ["report-failed.json", "report-failed.md"]

    def test_success_takes_the_failed_report_away(self, small_release, out, faces_csv):
        values = {"data": faces_csv, "variants": NO_INT8}
        failure_of(config_of(small_release, out, limits=TIGHT, **values))
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
        config = config_of(small_release, out, data=faces_csv, variants=["fp32", "int8-cpu"], calibration=FEW)
        text, report = self.partly(config, {"small-fp32.onnx"})
        assert text.startswith("small-int8-cpu.onnx (stage converted): INT8 for cpu loses 9.00 points. Fix: train")
        assert report["failure"] == text.splitlines()[0]
        assert [entry["name"] for entry in report["artifacts"]] == ["small-fp32.onnx"]

    def test_all_that_failed_is_named(self, small_release, out, faces_csv, monkeypatch):
        def refuse(*args, **kwargs):
            raise VerificationError("INT8 for cpu loses 9.00 points")

        monkeypatch.setattr(convert, "keep_budget", refuse)
        limits = {"fp16": {"max_abs_logit": 1e-6}}
        config = config_of(small_release, out, data=faces_csv, limits=limits, calibration=FEW)
        text, _ = self.partly(config, {"small-fp32.onnx"})
        first, second, third, _ = text.splitlines()
        assert first.startswith("small-fp16.onnx (stage converted) differs")
        assert second == "small-int8.onnx (stage converted): INT8 for cpu loses 9.00 points"
        assert third == "small-int8-cpu.onnx (stage converted): INT8 for cpu loses 9.00 points"

    def test_a_limit_on_a_slice(self, small_release, out, faces_csv, monkeypatch):
        """An artifact that differs on soft faces alone is found."""
        soft = degraded(judged_images(faces_csv), Slice.DIM_SOFT)
        real = pipeline.open_artifact

        class BlindToSoftFaces(FakeEngine):
            def __init__(self, engine) -> None:
                super().__init__()
                self._engine, self._spec = engine, engine.spec

            def _run(self, images_nchw):
                logits = self._engine.infer(images_nchw)
                is_soft = [bool((image == soft).all(axis=(1, 2, 3)).any()) for image in images_nchw]
                return np.where(np.array(is_soft)[:, None], -logits, logits)

        monkeypatch.setattr(
            pipeline, "open_artifact", lambda a: BlindToSoftFaces(real(a)) if a.variant == "fp16" else real(a)
        )
        config = config_of(small_release, out, data=faces_csv, variants=NO_INT8)
        text, report = self.partly(config, {"small-fp32.onnx"})
        assert "same emotion on dim-soft faces 0.00% (required 98.50%)" in text
        assert text.count("(required") == 1
        found = {part["slice"]: part["agreement"] for part in report["artifacts"][1]["comparison"]["slices"]}
        assert found == {kind: 0.0 if kind is Slice.DIM_SOFT else 1.0 for kind in Slice if kind is not Slice.VIDEO}
        assert (
            "| dim-soft | Gaussian blur, sigma 1.2, then contrast at most 25 | 35 |" in (out / "report.md").read_text()
        )

    @pytest.mark.parametrize("variant", ["fp32", "fp16"])
    def test_an_engine_that_fails(self, small_release, out, faces_csv, monkeypatch, variant):
        """Also where nothing at all could be judged."""
        stage = {"fp32": "onnx", "fp16": "converted"}[variant]
        real = pipeline.open_artifact
        broken = FakeEngine(fail_at_call=0)

        monkeypatch.setattr(pipeline, "open_artifact", lambda a: broken if a.variant == variant else real(a))
        config = config_of(small_release, out, data=faces_csv, variants=NO_INT8)
        if variant == "fp16":
            text, _ = self.partly(config, {"small-fp32.onnx"})
            assert text.startswith("small-fp16.onnx (stage converted): in batches of 64: FakeEngine was told to fail")
            return
        text = failure_of(config)
        assert text.startswith(f"small-{variant}.onnx (stage {stage}): in batches of 64: FakeEngine was told to fail")
        assert "report-failed.md" in text
        assert "FakeEngine was told to fail" in (out / "report-failed.md").read_text()

    def test_an_engine_that_does_not_open(self, small_release, out, monkeypatch):
        """ONNX Runtime warms up with batches of 1, 2 and 4 when it opens: a frozen batch shows up there."""

        def refuse(artifact):
            raise EngineError("CPUExecutionProvider failed to warm up")

        monkeypatch.setattr(pipeline, "open_artifact", refuse)
        text = failure_of(config_of(small_release, out))
        assert text.startswith("small-fp32.onnx (stage onnx): CPUExecutionProvider failed to warm up")

    @pytest.mark.parametrize(
        ("weight", "error", "texts"),
        [
            (torch.nan, ArtifactError, ("blocks.1.branch.3.weight holds 1 of 9,216 values that are not finite",)),
            (3e38, VerificationError, ("PyTorch", "gave logits that are not finite")),  # their sum overflows
        ],
    )
    def test_weights_and_logits_that_are_not_finite(self, small_spec, out, tmp_path, weight, error, texts):
        model = small_model(small_spec)
        with torch.no_grad():
            model.blocks[1].branch[3].weight[0, 0, 0, 0] = weight
        save_release(tmp_path / "a.safetensors", model, small_spec.model_dump(mode="json", exclude_none=True))
        text = failure_of(config_of(tmp_path / "a.safetensors", out), error)
        assert all(part in text for part in texts)

    def test_weights_that_half_cannot_hold(self, small_release, out, small_onnx, tmp_path, monkeypatch):
        """They are refused, and neither clipped nor infinite."""
        model = onnx.load(small_onnx)
        (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "model.classifier.bias"]
        large = onnx.numpy_helper.to_array(bias) + 1e5  # of all labels alike: the probabilities stay
        bias.CopyFrom(onnx.numpy_helper.from_array(large.astype(np.float32), bias.name))
        monkeypatch.setattr(pipeline, "write_onnx", lambda graph, spec, path, opset: onnx.save(model, path))
        limits = {"fp32": {"max_abs_logit": 1e6, "max_batch_difference": 1.0, "min_agreement": 0.0}}
        text, _ = self.partly(config_of(small_release, out, limits=limits), {"small-fp32.onnx"}, ExportError)
        assert "model.classifier.bias has the value 1e+05; FP16 ends at 65504" in text
