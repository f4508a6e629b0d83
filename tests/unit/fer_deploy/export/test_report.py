"""The report: of the very files, complete, for machines and for people."""

import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from integration import plan_models
from PIL import Image
from torch import nn

from fer_deploy.export.checkpoint import Checkpoint
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.report import Report, report_files
from fer_deploy.export.variants import Variant, artifact_of
from fer_deploy.export.verify.compare import Comparison, Reference
from fer_deploy.export.verify.scores import Scores
from fer_deploy.export.verify.slice_agreement import SliceAgreement
from fer_deploy.export.verify.slices import DESCRIPTIONS, Slice
from fer_deploy.vision.palette import BAD_COLOR, GOOD_COLOR

LABELS = ("bright", "dark", "even")
RECORD = {
    "scheme": "tensorrt",
    "calibration": {
        "method": "percentile",
        "num_faces": 64,
        "num_degraded": 16,
        "num_left_out": 2,
        "faces_sha256": "ab" * 32,
        "source": "Training of fer2013.csv",
        "seed": 5,
        "learned": ["stem"],
    },
    "float_layers": ["second"],
    "chosen_on": "all 20 faces of PublicTest of fer2013.csv",
    "runaway_layers": [{"layer": "stem", "slice": "dim-soft", "factor": 5.25}],
    "accuracy_changes": [-2.0, -0.1],
    "layer_costs": [
        {"layer": "second", "kl": 0.5, "accuracy_change": -1.5},
        {"layer": "stem", "kl": 0.0, "accuracy_change": 0.25},
    ],
}


def comparison(name: str, stage: str = "converted", **changes) -> Comparison:
    found = Comparison(
        artifact=name,
        stage=stage,
        candidate="fake",
        num_faces=20,
        max_abs_logit=0.0123,
        max_abs_logit_p999=0.01,
        max_batch_difference=0.0,
        kl=3.4e-5,
        agreement=0.95,
        scores=Scores(69.5, 66, dict.fromkeys(LABELS, 70.0)),
        change=Scores(-0.5, 0.25, {"bright": 1.0, "dark": -3.25, "even": 0.0}),
    )
    return replace(found, **changes)


@pytest.fixture
def make(tmp_path):
    """Return a function that makes the report of an FP32 and an INT8 artifact."""
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    model, spec = plan_models.fp32_model(), plan_models.make_spec("fp32")

    def run(*, labelled: bool = True, variants=None, num: int = 2, **changes) -> Report:
        labels = np.arange(20) % 3 if labelled else None
        faces = VerificationFaces(np.zeros((20, 1, 48, 48), dtype=np.uint8), labels, "PublicTest of fer2013.csv")
        reference = Reference(faces, LABELS, np.eye(3, dtype=np.float32)[np.arange(20) % 3], "PyTorch 2")
        artifacts = [
            artifact_of(model, spec, Variant.FP32, {}),
            artifact_of(model, spec, Variant.INT8, RECORD),
        ][:num]
        for artifact in artifacts:
            onnx.save(artifact.model, tmp_path / artifact.name)
        unlabelled = {} if labelled else {"scores": None, "change": None}
        found = [
            comparison("tiny-fp32.onnx", "onnx", **unlabelled),
            comparison("tiny-int8.onnx", **unlabelled | changes),
        ]
        config = ExportConfig(
            checkpoint=tmp_path / "a.safetensors", out=tmp_path, data=tmp_path / "d.csv", variants=variants
        )
        checkpoint = Checkpoint(config.checkpoint, hashlib.sha256(b"weights").hexdigest(), nn.Identity(), spec)
        return Report.of(config, checkpoint, reference, artifacts, found[:num], (), tmp_path)

    return run


def parts(report: Report, stem: str = "report") -> tuple[dict, str]:
    files = report_files(report, stem)
    return json.loads(files[f"{stem}.json"]), files[f"{stem}.md"].decode()


class TestJson:
    def test_digests_of_the_very_files(self, make, tmp_path):
        content, _ = parts(make())
        assert [entry["name"] for entry in content["artifacts"]] == ["tiny-fp32.onnx", "tiny-int8.onnx"]
        for entry in content["artifacts"]:
            file = (tmp_path / entry["name"]).read_bytes()
            assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(file).hexdigest(), len(file))
        assert content["checkpoint"] == {"name": "a.safetensors", "sha256": hashlib.sha256(b"weights").hexdigest()}

    def test_what_was_found(self, make):
        content, _ = parts(make())
        entry = content["artifacts"][1]
        assert entry["comparison"]["change"]["recall"]["dark"] == -3.25
        assert entry["quantization"] == RECORD
        assert content["artifacts"][0]["quantization"] is None
        assert content["reference"]["scores"]["accuracy"] == 100
        assert (content["failure"], content["plans"], content["opset"]) == (None, [], 20)

    def test_no_nan_that_json_lacks(self, make):
        text = report_files(make(), "report")["report.json"].decode()
        json.loads(text, parse_constant=pytest.fail)


class TestMarkdown:
    def test_a_row_for_each_artifact(self, make):
        _, text = parts(make())
        rows = [line for line in text.splitlines() if line.startswith("| tiny-")]
        assert [row.split(" | ")[:2] for row in rows] == [
            ["| tiny-fp32.onnx", "onnx"],
            ["| tiny-int8.onnx", "converted"],
        ]
        table = [line for line in text.splitlines() if line.startswith(("| artifact", "|---|---|---|---|"))]
        assert {row.count("|") for row in [*table, *rows]} == {13}
        assert "| 69.50 % | -0.50 | +0.25 | dark -3.25 | 95.00% | 3.4e-05 | 1.2e-02 | 1.0e-02 | holds |" in rows[1]

    def test_unlabelled_rows_are_as_wide(self, make):
        _, text = parts(make(labelled=False))
        rows = [line for line in text.splitlines() if line.startswith("| tiny-")]
        assert {row.count("|") for row in rows} == {13}
        assert "no labels" in rows[0]

    def test_how_int8_came_about(self, make):
        _, text = parts(make())
        assert "## tiny-int8.onnx" in text
        assert (
            "64 faces of Training of fer2013.csv (16 of the drawn faces were degraded; 2 outliers were left out; method"
        ) in text
        assert "method percentile, seed 5, sha256 `abababababababab...`)" in text
        assert (
            "Layers left in higher precision: second, chosen on all 20 faces of PublicTest of fer2013.csv: on these"
        ) in text
        assert "run away (multiples of the calibrated range) at: stem (5.2 on dim-soft faces). INT8 clips them" in text
        assert "Ranges learned in training: stem." in text
        assert "| second | 5.0e-01 | -1.50 |" in text
        assert "## tiny-fp32.onnx" not in text

    def test_breaches(self, make):
        _, text = parts(make(breaches=("kl 1 (allowed 0.1)", "same emotion 3%")))
        assert "**tiny-int8.onnx (stage converted) fails:** kl 1 (allowed 0.1); same emotion 3%." in text
        assert text.count("**fails**") == 1
        assert text.count("| holds |") == 1

    def test_fp32_that_was_not_asked_for(self, make):
        """All others are made from it and it is judged, but no such file is written."""
        content, text = parts(make(variants=["int8"]))
        assert [entry["requested"] for entry in content["artifacts"]] == [False, True]
        assert "| tiny-fp32.onnx (not written) |" in text
        assert "| tiny-int8.onnx |" in text

    def test_failure(self, make):
        report = make()
        _, text = parts(Report(report.content | {"failure": "tiny-int8-cpu.onnx: no"}), "report-failed")
        assert "**Failed:** tiny-int8-cpu.onnx: no" in text
        assert "(report-failed.png)" in text


SLICES = tuple(
    SliceAgreement(kind, 16, agreement, 0.5, 0.25, 50.0, -1.5)
    for kind, agreement in ((Slice.CLEAN, 1.0), (Slice.DIM_SOFT, 0.875), (Slice.VIDEO, 0.96875))
)


class TestSlices:
    @pytest.fixture
    def sliced(self, make) -> Report:
        report = make(slices=SLICES)
        kinds = [part.slice for part in SLICES]
        shown = [{"slice": kind, "made": DESCRIPTIONS[kind], "num_faces": 16, "faces": "x"} for kind in kinds]
        return Report(report.content | {"slices": shown})

    def test_a_row_for_each_slice(self, sliced):
        content, text = parts(sliced)
        assert "| slice | made by | faces | tiny-int8.onnx |" in text
        assert "| clean | unchanged | 16 | 100.00%, 0.5 |" in text
        assert "| dim-soft | Gaussian blur, sigma 1.2, then contrast at most 25 | 16 | 87.50%, 0.5 |" in text
        found = content["artifacts"][1]["comparison"]["slices"]
        assert [(part["slice"], part["agreement"]) for part in found] == [
            ("clean", 1.0),
            ("dim-soft", 0.875),
            ("video", 0.96875),
        ]

    def test_none_were_compared(self, make):
        _, text = parts(make())
        assert "## Slices" not in text

    def test_the_picture_grows_by_a_heat_map(self, make, sliced):
        sizes = []
        for report in (make(), sliced):
            with Image.open(io.BytesIO(report_files(report, "report")["report.png"])) as picture:
                sizes.append(picture.size)
        assert sizes[1][0] == sizes[0][0]
        assert sizes[1][1] > sizes[0][1] + 100


class TestOutcome:
    def test_what_is_written_and_what_failed(self, make):
        failure, notes = "tiny-int8.onnx: no", ["one face breaks it"]
        report = make().with_outcome(failure=failure, written={"tiny-fp32.onnx"}, notes=notes)
        content, text = parts(report)
        assert [entry["written"] for entry in content["artifacts"]] == [True, False]
        assert "**Failed:** tiny-int8.onnx: no" in text
        assert "Note: one face breaks it." in text
        assert "| tiny-fp32.onnx |" in text
        assert "| tiny-int8.onnx (not written) |" in text


class TestPicture:
    @pytest.mark.parametrize("num", [1, 2])
    def test_it_opens_and_is_not_blank(self, make, num):
        files = report_files(make(num=num), "report")
        with Image.open(io.BytesIO(files["report.png"])) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert pixels.shape[0] > 300
        assert pixels.shape[1] > 800
        colors = {tuple(color) for color in np.unique(pixels.reshape(-1, 3), axis=0)}
        assert tuple(bytes.fromhex(GOOD_COLOR[1:])) in colors  # bars
        assert len(colors) > 50
        assert (pixels != 255).any(axis=2).mean() > 0.02

    def test_a_failed_artifact_is_red(self, make):
        files = report_files(make(breaches=("too much",)), "report")
        with Image.open(io.BytesIO(files["report.png"])) as picture:
            pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        bars = (pixels == tuple(bytes.fromhex(BAD_COLOR[1:]))).all(axis=1).sum()
        assert bars > 1000

    def test_none_without_labels(self, make):
        assert set(report_files(make(labelled=False), "report")) == {"report.json", "report.md"}

    def test_none_where_nothing_could_be_judged(self, make):
        """FP32 itself could not be run: there is a text, and no crash."""
        files = report_files(make(num=0), "report-failed")
        assert set(files) == {"report-failed.json", "report-failed.md"}
        assert ".png" not in files["report-failed.md"].decode()
