"""Plans built for real, ahead of time, with TensorRT for RTX: no GPU is needed, and none is used."""

import hashlib
import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from integration import plan_models
from integration.full_disk import file_size_limit

from fer_deploy.artifacts import bundled_model, file_sha256
from fer_deploy.cli import main
from fer_deploy.errors import ExportError
from fer_deploy.export.plan.build import build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import BatchProfile, manifest_path, read_manifest

RTX = plan_models.RTX


@pytest.fixture(scope="module")
def built(tiny_models, tmp_path_factory):
    """Folder with every variant built, and the manifests as `build_plan` returned them."""
    folder = tmp_path_factory.mktemp("plans")
    manifests = {}
    for name, model in tiny_models.items():
        onnx.save(model, folder / f"{name}.onnx")
        manifests[name] = build_plan(folder / f"{name}.onnx", folder / f"{name}.plan", RTX)
    return folder, manifests


class TestEveryVariant:
    @pytest.mark.parametrize(
        ("name", "kind", "precision"),
        [("fp32", "Float", "fp32"), ("fp16", "Half", "fp16"), ("int8", "Int8", "int8"), ("int8_half", "Int8", "int8")],
    )
    def test_convolutions_were_compiled_as_declared(self, built, name, kind, precision):
        proof = built[1][name].precision_proof
        assert proof.source == "plan"
        assert proof.convolutions == {kind: plan_models.NUM_CONVOLUTIONS}
        assert built[1][name].spec.precision == precision

    def test_layers_between_convolutions(self, built):
        assert set(built[1]["fp32"].precision_proof.layers) == {"Float"}
        assert "Half" in built[1]["int8_half"].precision_proof.layers
        assert "Half" not in built[1]["int8"].precision_proof.layers

    @pytest.mark.parametrize("name", ["fp32", "fp16", "int8", "int8_half"])
    def test_manifest_describes_the_file(self, built, name):
        folder, manifests = built
        plan = folder / f"{name}.plan"
        manifest = read_manifest(plan)
        assert manifest == manifests[name]
        assert manifest.plan_sha256 == hashlib.sha256(plan.read_bytes()).hexdigest()
        assert manifest.plan_bytes == plan.stat().st_size
        assert (manifest.source_onnx, manifest.source_onnx_sha256) == (
            f"{name}.onnx",
            file_sha256(folder / f"{name}.onnx"),
        )
        assert manifest.spec == plan_models.make_spec(manifest.spec.precision)
        assert (manifest.profile.min, manifest.profile.opt, manifest.profile.max) == (1, 4, 64)

    def test_target(self, built):
        import tensorrt_rtx  # noqa: PLC0415

        manifest = built[1]["fp16"]
        assert (manifest.flavor, manifest.version) == (Flavor.TENSORRT_RTX, tensorrt_rtx.__version__)
        assert (manifest.target.compute_capabilities, manifest.target.os) == (RTX.compute_capabilities, "any")
        assert (manifest.target.gpu, manifest.target.driver, manifest.target.cuda) == (None, None, "13")
        assert not manifest.needs_host_code

    def test_smaller_types_make_smaller_plans_of_the_same_network(self, tmp_path, built):
        assert built[1]["fp16"].plan_bytes < built[1]["fp32"].plan_bytes

    def test_two_files_and_nothing_else(self, tiny_models, save_model, tmp_path):
        build_plan(save_model(tiny_models["fp16"]), tmp_path / "new" / "deep" / "a.plan", RTX)
        assert sorted(p.name for p in (tmp_path / "new" / "deep").iterdir()) == ["a.plan", "a.plan.json"]


def test_bundled_model_for_all_that_the_flavor_offers(tmp_path):
    manifest = build_plan(
        bundled_model(), tmp_path / "senet-ferplus-fp16.plan", BuildConfig(flavor=Flavor.TENSORRT_RTX)
    )
    assert manifest.precision_proof.convolutions == {"Half": 27}
    assert manifest.target.compute_capabilities == ("8.0", "8.6", "8.9", "12.0", "12.1")
    assert manifest.plan_bytes > 0.9 * bundled_model().stat().st_size  # the weights are inside, as halves


class TestPrecisionIsProved:
    """A file that says one precision and holds another is refused before it becomes a plan."""

    @pytest.mark.parametrize(
        ("label", "held", "found"),
        [
            ("fp16", "fp32", "0 of 5 convolutions are Half (5 Float)"),
            ("int8", "fp32", "0 of 5 convolutions are Int8 (5 Float)"),
            ("int8", "fp16", "0 of 5 convolutions are Int8 (5 Half)"),
            ("fp32", "fp16", "0 of 5 convolutions are Float (5 Half)"),
            ("fp32", "int8", "0 of 5 convolutions are Float (5 Int8)"),
            ("fp16", "int8_half", "0 of 5 convolutions are Half (5 Int8)"),
        ],
    )
    def test_mislabelled(self, tiny_models, save_model, tmp_path, label, held, found):
        with pytest.raises(ExportError) as caught:
            build_plan(save_model(plan_models.labelled(tiny_models[held], label)), tmp_path / "a.plan", RTX)
        assert f"says precision {label}, but {found}" in str(caught.value)
        assert not (tmp_path / "a.plan").exists()

    def test_a_few_layers_may_stay_higher(self, tiny_models, save_model, tmp_path):
        names = ["node_stem", "node_first", "node_second"]
        model = plan_models.int8_model(tiny_models["fp32"], tmp_path, names=names)
        proof = build_plan(save_model(model), tmp_path / "a.plan", RTX).precision_proof
        assert proof.convolutions == {"Int8": 3, "Float": 2}

    def test_most_layers_may(self, tiny_models, save_model, tmp_path):
        """It was refused with "the ModelSpec says int8, but 2 of 5 convolutions are Int8"."""
        model = plan_models.int8_model(tiny_models["fp32"], tmp_path, names=["node_first", "node_second"])
        half = plan_models.labelled(plan_models.fp16_model(model), "int8")
        proof = build_plan(save_model(half), tmp_path / "a.plan", RTX).precision_proof
        assert proof.convolutions == {"Half": 3, "Int8": 2}

    def test_int8_that_the_builder_makes_half(self, tiny_models, save_model, tmp_path):
        """TensorRT for RTX compiles INT8 convolutions to half for 7.5, and says nothing of it."""
        config = BuildConfig(flavor=Flavor.TENSORRT_RTX, compute_capabilities=("7.5", "8.6"))
        with pytest.raises(ExportError) as caught:
            build_plan(save_model(tiny_models["int8_half"]), tmp_path / "a.plan", config)
        assert "node_stem is Half instead of Int8" in str(caught.value)
        assert "the network's convolutions are 5 Int8, the compiled ones 5 Half" in str(caught.value)
        assert "Fix: leave 7.5 out of --compute-capability" in str(caught.value)
        assert not (tmp_path / "a.plan").exists()

    def test_a_failed_build_does_not_spoil_the_next(self, tiny_models, save_model, tmp_path):
        """In one process, the builder lays the limits of a failed build for 7.5 on the next; it must be built again."""
        turing = BuildConfig(flavor=Flavor.TENSORRT_RTX, compute_capabilities=("7.5",))
        with pytest.raises(ExportError, match=r"for 7\.5: .*Turing.*Fix: leave 7\.5 out"):
            build_plan(save_model(tiny_models["int8"], "a.onnx"), tmp_path / "a.plan", turing)
        proof = build_plan(save_model(tiny_models["int8_half"], "b.onnx"), tmp_path / "b.plan", RTX).precision_proof
        assert proof.convolutions == {"Int8": 5}


class TestOldArtifacts:
    @pytest.fixture
    def old(self, tmp_path) -> Path:
        plan = tmp_path / "a.plan"
        plan.write_bytes(b"old plan")
        manifest_path(plan).write_text("old manifest")
        return plan

    def test_are_replaced(self, tiny_models, save_model, old):
        manifest = build_plan(save_model(tiny_models["fp16"]), old, RTX)
        assert read_manifest(old) == manifest
        assert file_sha256(old) == manifest.plan_sha256

    def test_survive_a_full_disk(self, tiny_models, save_model, old, tmp_path):
        path = save_model(tiny_models["fp16"])
        with (
            file_size_limit(4096),
            pytest.raises(ExportError, match=r"cannot write a\.plan, .*Nothing was changed") as e,
        ):
            build_plan(path, old, RTX)
        assert e.value.exit_code == 5
        assert (old.read_bytes(), manifest_path(old).read_text()) == (b"old plan", "old manifest")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.plan", "a.plan.json", "tiny.onnx"]

    def test_survive_a_failed_build(self, tiny_models, save_model, old):
        with pytest.raises(ExportError):
            build_plan(save_model(tiny_models["fp16"]), old, RTX.model_copy(update={"workspace_mib": 1}))
        assert (old.read_bytes(), manifest_path(old).read_text()) == (b"old plan", "old manifest")


class TestProgress:
    def test_phases_and_steps(self, tiny_models, save_model, tmp_path):
        seen: list[tuple[str, int, int]] = []
        build_plan(save_model(tiny_models["fp16"]), tmp_path / "a.plan", RTX, progress=lambda *step: seen.append(step))
        assert "Building engine" in {phase for phase, _, _ in seen}
        assert all(1 <= done <= total for _, done, total in seen)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
    def test_what_it_raises_ends_the_build(self, tiny_models, save_model, tmp_path, error, capfd):
        calls = []

        def interrupt(phase: str, done: int, total: int) -> None:
            calls.append(phase)
            raise error("stop")

        with pytest.raises(error, match="stop"):
            build_plan(save_model(tiny_models["fp16"]), tmp_path / "a.plan", RTX, progress=interrupt)
        assert len(calls) == 1
        assert not (tmp_path / "a.plan").exists()
        assert capfd.readouterr().err == ""


class TestCli:
    def test_prints_what_was_built(self, tiny_models, save_model, tmp_path):
        out = tmp_path / "tiny.plan"
        args = ["build", "--onnx", save_model(tiny_models["int8_half"]), "--out", out, "--flavor", "tensorrt-rtx"]
        args += ["--compute-capability", "8.6", "--compute-capability", "8.9", "--profile", 1, 2, 8]
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        assert result.exit_code == 0, result.output
        manifest = read_manifest(out)
        assert f"{out}: {manifest.plan_bytes / 1e6:.1f} MB, TensorRT for RTX" in result.stdout
        assert "runs on: compute capability 8.6, 8.9; os any" in result.stdout
        assert "batches: 1 to 8, best at 2" in result.stdout
        assert "precision int8: convolutions 5 of 5 Int8 (asked: plan)" in result.stdout
        assert manifest.profile == BatchProfile(min=1, opt=2, max=8)

    def test_config_file_below_flags(self, tiny_models, save_model, tmp_path):
        config = tmp_path / "build.yaml"
        config.write_text(
            "flavor: tensorrt-rtx\ncompute_capabilities: [8.6, 12.0]\nprofile: {min: 2, opt: 2, max: 2}\ntf32: true\n"
        )
        args = ["build", "--config", config, "--onnx", save_model(tiny_models["fp32"]), "--out", tmp_path / "a.plan"]
        result = CliRunner().invoke(main, [str(arg) for arg in [*args, "--workspace-mib", 512]])
        assert result.exit_code == 0, result.output
        manifest = json.loads((tmp_path / "a.plan.json").read_text())
        assert manifest["target"]["compute_capabilities"] == ["8.6", "12.0"]
        assert manifest["profile"] == {"min": 2, "opt": 2, "max": 2}

    def test_export_error_comes_with_the_builder_log(self, tiny_models, save_model, tmp_path):
        path = save_model(plan_models.replaced(tiny_models["fp32"], "node_gate", "Det"))
        args = ["build", "--onnx", path, "--out", tmp_path / "a.plan", "--flavor", "tensorrt-rtx"]
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        assert result.exit_code == 5
        assert "error: TensorRT for RTX" in result.stderr
        assert "'node_gate' (Det)" in result.stderr
        assert "builder log:\n" in result.stderr
        assert "checkDet" in result.stderr
