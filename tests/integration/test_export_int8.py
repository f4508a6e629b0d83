"""All variants of a small network whose INT8 must give a layer back, from checkpoint and data to files and report."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from integration.export_models import LAYERS, OUTLIER_LAYER, build_small, patterns, small_model, write_faces
from PIL import Image

from fer_deploy.artifacts import file_sha256
from fer_deploy.cli import main
from fer_deploy.engines import open_engine
from fer_deploy.errors import VerificationError
from fer_deploy.export import pipeline
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.graph.layers import layers_of, producers_of
from fer_deploy.export.int8 import convert
from fer_deploy.export.int8.accuracy_control import layer_costs
from fer_deploy.export.pipeline import Exported, export
from fer_deploy.export.variants import QUANTIZATION_KEY, Variant
from fer_deploy.export.verify.exact_engine import ExactEngine
from fer_deploy.manifest import read_manifest
from fer_deploy.settings import load_settings
from fer_deploy.spec import SPEC_KEY, VARIANT_KEY, ModelSpec, spec_from_json
from fer_train import checkpoint as train_checkpoint
from fer_train.checkpoint import save_release

VARIANTS = ("fp32", "fp16", "int8", "int8-cpu")
CALIBRATION = {"num_faces": 48, "method": "max", "seed": 9}
SPOILED = dict.fromkeys(("blurred", "dim-soft", "small", "turned", "noise"))
"""Stripes that are blurred or turned are no stripes of this network's any more: what it says of them is chance."""
LIMITS = {variant: {"min_slice_agreement": SPOILED} for variant in VARIANTS}


@pytest.fixture(scope="module", autouse=True)
def _small_network():
    """`fer_train` builds the small network, in all of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_checkpoint, "build_model", build_small)
        yield


def release(folder: Path, spec: ModelSpec, *, outlier: bool, **changes) -> Path:
    path = folder / "small.safetensors"
    plain = spec.model_copy(update=changes).model_dump(mode="json", exclude_none=True)
    save_release(path, small_model(spec, outlier=outlier), plain)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    return write_faces(folder / "fer2013.csv", {"Training": 60, "PublicTest": 105})


@pytest.fixture(scope="module")
def config(tmp_path_factory, data, small_spec) -> ExportConfig:
    """One channel inside the first block is 2000 times larger than the others: its reader is useless in INT8."""
    checkpoint = release(tmp_path_factory.mktemp("release"), small_spec, outlier=True)
    values = {
        "checkpoint": checkpoint,
        "out": tmp_path_factory.mktemp("out") / "small",
        "data": data,
        "calibration": CALIBRATION,
        "limits": LIMITS,
        "slice_faces": 42,
        "build": {"flavor": "tensorrt-rtx", "compute_capabilities": ["8.6"]},
    }
    return load_settings(ExportConfig, None, values)


@pytest.fixture(scope="module")
def exported(config) -> Exported:
    return export(config)


@pytest.fixture(scope="module")
def models(exported) -> dict[str, onnx.ModelProto]:
    return {path.stem.removeprefix("small-"): onnx.load(path) for path in exported.models}


@pytest.fixture(scope="module")
def report(exported) -> dict:
    return json.loads(exported.report.with_suffix(".json").read_text(), parse_constant=pytest.fail)


def copy_of(onnx_path: Path):
    """In place of `write_onnx`: seconds spared."""
    return lambda graph, spec, path, opset: shutil.copy(onnx_path, path)


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {prop.key: prop.value for prop in model.metadata_props}


class TestFiles:
    def test_what_is_there(self, exported):
        plans = [f"small-{name}.plan" for name in ("fp32", "fp16", "int8")]
        wanted = [
            *(f"small-{name}.onnx" for name in VARIANTS),
            *plans,
            *(f"{plan}.json" for plan in plans),
            "report.json",
            "report.md",
            "report.png",
        ]
        assert sorted(path.name for path in exported.report.parent.iterdir()) == sorted(wanted)
        assert [path.name for path in exported.models] == [f"small-{name}.onnx" for name in VARIANTS]

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_metadata(self, models, small_spec, variant):
        found = metadata(models[variant])
        spec = spec_from_json(found[SPEC_KEY], where="x")
        assert spec.model_copy(update={"metrics": {}}) == small_spec.model_copy(
            update={"metrics": {}, "precision": variant.removesuffix("-cpu")}
        )
        assert found[VARIANT_KEY] == variant
        assert (QUANTIZATION_KEY in found) is variant.startswith("int8")

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_metrics_are_its_own(self, models, report, small_spec, variant):
        """Those of the checkpoint stand apart from what the gate measured of this very file."""
        metrics = spec_from_json(metadata(models[variant])[SPEC_KEY], where="x").metrics
        assert set(metrics) == {"artifact", "checkpoint"}
        assert metrics["checkpoint"] == small_spec.metrics
        (found,) = [e["comparison"] for e in report["artifacts"] if e["name"] == f"small-{variant}.onnx"]
        own = metrics["artifact"]
        assert own["accuracy"] == pytest.approx(found["scores"]["accuracy"] / 100)
        assert own["f1"] == pytest.approx(found["scores"]["macro_f1"] / 100)
        assert own["accuracy_change"] == pytest.approx(found["change"]["accuracy"] / 100)
        assert own["recall"] == pytest.approx({name: v / 100 for name, v in found["scores"]["recall"].items()})
        assert (own["kl"], own["engine"], own["num_faces"]) == (found["kl"], found["candidate"], 105)
        assert (own["faces"], own["reference"][:7]) == ("PublicTest of fer2013.csv, FER2013's labels", "PyTorch")

    def test_metrics_differ_between_variants(self, models):
        found = [spec_from_json(metadata(model)[SPEC_KEY], where="x").metrics["artifact"] for model in models.values()]
        assert len({own["kl"] for own in found}) == len(VARIANTS)

    @pytest.mark.parametrize("variant", ["fp32", "fp16", "int8-cpu"])
    def test_every_file_opens_and_knows_the_patterns(self, exported, variant):
        images, labels = patterns(35, seed=77)
        path = exported.report.parent / f"small-{variant}.onnx"
        with open_engine(path, device="cpu") as engine:
            assert (engine.infer(images[:, None]).argmax(1) == labels).mean() > 0.95

    def test_the_graph_for_tensorrt_as_it_is_written(self, exported):
        images, labels = patterns(35, seed=77)
        with ExactEngine.open(exported.report.parent / "small-int8.onnx") as engine:
            assert (engine.infer(images[:, None]).argmax(1) == labels).mean() > 0.95


class TestInt8:
    @pytest.mark.parametrize("variant", ["int8", "int8-cpu"])
    def test_how_it_came_about(self, models, report, variant, data):
        record = json.loads(metadata(models[variant])[QUANTIZATION_KEY])
        calibration = record["calibration"]
        assert (calibration["num_faces"], calibration["method"], calibration["seed"]) == (48, "max", 9)
        assert calibration["source"] == f"Training of {data.name}"
        (entry,) = [entry for entry in report["artifacts"] if entry["name"] == f"small-{variant}.onnx"]
        assert entry["quantization"] == record

    @pytest.mark.parametrize("variant", ["int8", "int8-cpu"])
    def test_the_useless_layer_was_given_back_first(self, models, variant):
        record = json.loads(metadata(models[variant])[QUANTIZATION_KEY])
        assert record["float_layers"][0] == record["layer_costs"][0]["layer"] == OUTLIER_LAYER
        assert record["accuracy_changes"][0] < -10
        assert record["accuracy_changes"][-1] >= -0.3
        assert len(record["accuracy_changes"]) > len(record["float_layers"])
        assert record["chosen_on"].startswith(
            "all 105 faces of PublicTest of fer2013.csv, FER2013's labels and their slices (clean, dim"
        )

    def test_it_is_float_in_the_graph(self, models):
        producers = producers_of(models["int8"])
        weights = {layer.name: producers.get(layer.node.input[1]) for layer in layers_of(models["int8"])}
        assert set(weights) == set(LAYERS)
        assert weights[OUTLIER_LAYER] is None
        assert weights["blocks.0.branch.0"].op_type == "DequantizeLinear"

    @pytest.mark.parametrize("variant", ["int8", "int8-cpu"])
    def test_half_of_the_layers_is_not_enough(self, config, exported, tmp_path, monkeypatch, variant):
        """Were the useless layer among the cheapest, it would never be given back."""
        monkeypatch.setattr(convert, "layer_costs", lambda *args, **options: layer_costs(*args, **options)[::-1])
        monkeypatch.setattr(pipeline, "write_onnx", copy_of(exported.onnx))
        values = {"out": tmp_path / "o", "build": None, "variants": (Variant(variant),)}
        with pytest.raises(VerificationError) as caught:
            export(config.model_copy(update=values))
        text = str(caught.value)
        assert text.startswith(f"small-{variant}.onnx (stage converted): INT8 for ")
        assert "points of accuracy at best" in text
        assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
            "report-failed.json",
            "report-failed.md",
            "report-failed.png",
        ]

    def test_learned_ranges_reach_the_files(self, small_spec, small_onnx, data, tmp_path, monkeypatch):
        """Of a release from quantization-aware training."""
        monkeypatch.setattr(pipeline, "write_onnx", copy_of(small_onnx))
        learned = {"blocks.1.branch.3": 9.5, "stem.0": 2.25}
        checkpoint = release(tmp_path, small_spec, outlier=False, quantization=learned)
        values = {"checkpoint": checkpoint, "out": tmp_path / "o", "data": data, "calibration": CALIBRATION}
        done = export(load_settings(ExportConfig, None, values | {"variants": ["int8"]}))
        model = onnx.load(done.onnx)
        constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        producers = producers_of(model)
        for layer in layers_of(model):
            if layer.name in learned:
                scale = constants[producers[layer.node.input[0]].input[1]]
                assert scale == np.float16(learned[layer.name] / 127)
        assert json.loads(metadata(model)[QUANTIZATION_KEY])["calibration"]["learned"] == [
            "stem.0",
            "blocks.1.branch.3",
        ]


class TestReport:
    def test_digests(self, exported, report):
        folder = exported.report.parent
        files = {entry["name"]: entry["sha256"] for entry in [*report["artifacts"], *report["plans"]]}
        assert set(files) == {path.name for path in folder.iterdir() if path.suffix in (".onnx", ".plan")}
        assert files == {name: file_sha256(folder / name) for name in files}

    def test_every_limit_was_kept(self, report):
        for entry in report["artifacts"]:
            assert entry["comparison"]["breaches"] == []
            assert entry["comparison"]["num_faces"] == 105

    def test_a_row_for_each_file(self, exported):
        rows = [line for line in exported.report.read_text().splitlines() if line.startswith("| small-")]
        names = [row.split("|")[1].strip() for row in rows]
        assert names == [*(path.name for path in exported.models), *(path.name for path in exported.plans)]

    def test_the_picture(self, exported):
        with Image.open(io.BytesIO(exported.report.with_suffix(".png").read_bytes())) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert (pixels != 255).any(axis=2).mean() > 0.02


class TestPlans:
    def test_manifests_name_the_published_models(self, exported):
        for plan in exported.plans:
            manifest = read_manifest(plan)
            assert manifest.source_onnx == plan.with_suffix(".onnx").name
            assert manifest.source_onnx_sha256 == file_sha256(plan.with_suffix(".onnx"))
            assert manifest.plan_sha256 == file_sha256(plan)
            assert manifest.spec.precision == plan.stem.removeprefix("small-")
            source = json.loads(metadata(onnx.load(plan.with_suffix(".onnx")))[SPEC_KEY])["metrics"]
            assert manifest.spec.metrics == {"source_onnx": source["artifact"], "checkpoint": source["checkpoint"]}
        assert len(exported.plans) == 3

    def test_int8_is_int8(self, exported):
        (plan,) = [plan for plan in exported.plans if "int8" in plan.name]
        found = read_manifest(plan).precision_proof.convolutions
        assert found["Int8"] == 5
        assert sum(found.values()) == 8

    def test_what_this_machine_cannot_run_is_said(self, exported, report):
        if torch.cuda.is_available():
            pytest.skip("a GPU might run them")
        text = exported.report.read_text()
        assert text.count("| not run here |") == text.count(". Not run here: ") == 3
        for entry in report["plans"]:
            assert entry["comparison"] is None
            assert entry["not_run"]
            assert "/tmp" not in entry["not_run"]


def test_all_from_the_command_line(small_spec, small_onnx, data, tmp_path, monkeypatch):
    """YAML and flags together; the printed lines name each file."""
    monkeypatch.setattr(pipeline, "write_onnx", copy_of(small_onnx))
    (tmp_path / "export.yaml").write_text(
        f"checkpoint: {release(tmp_path, small_spec, outlier=False)}\nout: {tmp_path / 'o'}\n"
        "calibration: {num_faces: 20, method: entropy, seed: 3}\n"
    )
    args = ["export", "--config", tmp_path / "export.yaml", "--data", data, "--calibration-method", "percentile"]
    args += ["--variant", "int8-cpu", "--variant", "fp32", "--num-faces", "35"]
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    fp32, int8, written = result.stdout.splitlines()
    assert fp32.startswith(f"{tmp_path / 'o' / 'small-fp32.onnx'}: accuracy 100.00 % (+0.00), ")
    assert int8.startswith(f"{tmp_path / 'o' / 'small-int8-cpu.onnx'}: accuracy ")
    assert "same emotion " in int8
    assert " on 35 faces, on " in int8
    assert written == f"report: {tmp_path / 'o' / 'report.md'}"
    calibration = json.loads(metadata(onnx.load(tmp_path / "o" / "small-int8-cpu.onnx"))[QUANTIZATION_KEY])[
        "calibration"
    ]
    assert (calibration["method"], calibration["num_faces"], calibration["seed"]) == ("percentile", 20, 3)
    assert "int8-cpu: cost of stem.0" in result.stderr
