"""ExportConfig: from YAML and flags, contradictions named."""

import pytest
import yaml
from click.testing import CliRunner

from fer_deploy.artifacts import bundled_files
from fer_deploy.cli import main
from fer_deploy.cli.flags import export as export_cli
from fer_deploy.errors import ConfigError
from fer_deploy.export import pipeline
from fer_deploy.export.config import DEFAULT_LIMITS, ExportConfig
from fer_deploy.export.graph.source import read_onnx
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.slice_agreement import SliceAgreement, slice_breaches
from fer_deploy.export.verify.slices import Slice
from fer_deploy.flavors import Flavor
from fer_deploy.settings import load_settings

BASE = "checkpoint: a.safetensors\nout: o\n"
DATA = f"{BASE}data: fer2013.csv\n"


@pytest.fixture
def load(tmp_path):
    def run(text: str = BASE, **flags) -> ExportConfig:
        path = tmp_path / "export.yaml"
        path.write_text(text)
        return load_settings(ExportConfig, path, flags)

    return run


@pytest.fixture
def from_cli(tmp_path, monkeypatch):
    """Return a function that gives the config which reaches the pipeline from a YAML file and flags."""
    seen = []

    class Stop(Exception):
        pass

    def catch(config, on_message):
        seen.append(config)
        raise Stop

    monkeypatch.setattr(pipeline, "export", catch)

    def run(text: str, *flags: str):
        path = tmp_path / "export.yaml"
        path.write_text(text)
        result = CliRunner().invoke(main, ["export", "--config", str(path), *flags])
        assert isinstance(result.exception, Stop), result.output
        return seen[-1]

    return run


class TestVariants:
    @pytest.mark.parametrize(
        ("text", "chosen"),
        [
            (BASE, ["fp32", "fp16"]),
            (DATA, ["fp32", "fp16", "int8", "int8-cpu"]),
            (f"{DATA}variants: [int8-cpu, fp32]", ["fp32", "int8-cpu"]),
            (f"{BASE}variants: [fp16]", ["fp16"]),
            (f"{DATA}variants: []", ["fp32", "fp16", "int8", "int8-cpu"]),
        ],
    )
    def test_chosen(self, load, text, chosen):
        assert [variant.value for variant in load(text).chosen] == chosen

    @pytest.mark.parametrize("name", ["int8", "int8-cpu"])
    def test_int8_needs_data(self, load, name):
        with pytest.raises(
            ConfigError, match=r"INT8 needs real faces for its ranges; give data: .*\(--data\)"
        ) as caught:
            load(f"{BASE}variants: [{name}]")
        assert caught.value.exit_code == 2

    def test_unknown(self, load):
        with pytest.raises(ConfigError, match=r"variants.*fp32.*int8-cpu.*'int4'"):
            load(f"{BASE}variants: [int4]")


class TestSplits:
    def test_the_same_for_both(self, load):
        with pytest.raises(
            ConfigError, match=r"measured on Training; calibrate on another split \(--calibration-split\)"
        ):
            load(f"{DATA}split: Training")

    def test_nothing_is_calibrated(self, load):
        assert load(f"{DATA}split: Training\nvariants: [fp32, fp16]").split == "Training"
        assert load(f"{BASE}split: Training").split == "Training"

    def test_swapped(self, load):
        config = load(f"{DATA}split: Training\ncalibration: {{split: PublicTest}}")
        assert (config.split, config.calibration.split) == ("Training", "PublicTest")


class TestLimits:
    def test_defaults(self, load):
        assert load().limits == DEFAULT_LIMITS

    def test_one_key_of_one_variant(self, load):
        """What is not named keeps the default of that variant, not the one of any variant."""
        config = load(f"{BASE}limits: {{fp16: {{max_abs_logit: 0.2}}}}")
        default = DEFAULT_LIMITS[Variant.FP16]
        assert config.limits_of(Variant.FP16) == default.model_copy(update={"max_abs_logit": 0.2})
        assert default.min_agreement < 1
        assert config.limits_of(Variant.FP32) == DEFAULT_LIMITS[Variant.FP32]

    def test_null_is_not_judged(self, load):
        config = load(f"{BASE}limits: {{fp16: {{max_kl: null}}}}")
        assert config.limits_of(Variant.FP16).max_kl is None

    def test_budget_of_int8(self, load):
        config = load(f"{DATA}max_accuracy_drop: 1.5")
        assert {config.limits_of(v).max_accuracy_drop for v in (Variant.INT8, Variant.INT8_CPU)} == {1.5}
        assert config.limits_of(Variant.FP16).max_accuracy_drop == DEFAULT_LIMITS[Variant.FP16].max_accuracy_drop

    def test_a_second_budget_of_int8(self, load):
        with pytest.raises(
            ConfigError, match=r"limits\.int8\.max_accuracy_drop is 2, but the budget .* 0\.3; give only"
        ):
            load(f"{DATA}limits: {{int8: {{max_accuracy_drop: 2.0}}}}")

    @pytest.mark.parametrize(
        "limits", ["{int4: {max_kl: 1.0}}", "{fp16: {max_abs: 0.1}}", "{fp16: {min_agreement: 1.1}}", "{fp16: 3}"]
    )
    def test_nonsense(self, load, limits):
        with pytest.raises(ConfigError, match=r"export\.yaml: .*limits\."):
            load(f"{BASE}limits: {limits}")


class TestYamlBelowFlags:
    def test_one_key_of_a_group(self, from_cli):
        text = f"{DATA}calibration: {{split: PrivateTest, num_faces: 99, method: max, seed: 7}}\nnum_faces: 50\n"
        config = from_cli(text, "--calibration-faces", "64", "--variant", "int8", "--variant", "fp32")
        calibration = config.calibration
        assert (calibration.split, calibration.num_faces, calibration.seed) == ("PrivateTest", 64, 7)
        assert (calibration.method, config.num_faces) == ("max", 50)
        assert config.chosen == (Variant.FP32, Variant.INT8)

    def test_every_flag_has_its_key(self, from_cli):
        config = from_cli(
            BASE,
            "--data",
            "d.csv",
            "--split",
            "PrivateTest",
            "--num-faces",
            "5",
            "--max-accuracy-drop",
            "0.7",
            "--calibration-split",
            "X",
            "--calibration-method",
            "entropy",
            "--opset",
            "21",
            "--triton",
            "t",
        )
        assert (str(config.data), config.split, config.num_faces, config.max_accuracy_drop) == (
            "d.csv",
            "PrivateTest",
            5,
            0.7,
        )
        assert (config.calibration.split, config.calibration.method) == ("X", "entropy")
        assert (config.opset, str(config.triton), config.build) == (21, "t", None)

    def test_flavor_over_a_group(self, from_cli):
        text = f"{BASE}build: {{profile: {{min: 1, opt: 2, max: 8}}}}\n"
        config = from_cli(text, "--flavor", "tensorrt-rtx")
        assert (config.build.flavor, config.build.profile.max) == (Flavor.TENSORRT_RTX, 8)
        assert from_cli(text).build.flavor is Flavor.TENSORRT

    def test_flavor_that_contradicts_the_group(self, tmp_path):
        (tmp_path / "a.yaml").write_text(f"{BASE}build: {{flavor: tensorrt-rtx, compute_capabilities: [8.6]}}\n")
        result = CliRunner().invoke(main, ["export", "--config", str(tmp_path / "a.yaml"), "--flavor", "tensorrt"])
        assert result.exit_code == 2
        assert "compute_capabilities is an option of flavor tensorrt-rtx" in result.stderr


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--variant", "int8"], "INT8 needs real faces"),
        (["--max-accuracy-drop", "0"], "--max-accuracy-drop: "),
        (["--opset", "18"], "--opset: "),
        (["--calibration-faces", "0"], "--calibration-faces: "),
        (["--num-faces", "0"], "--num-faces: "),
        (["--data", "d.csv", "--calibration-split", "PublicTest"], "accuracy is measured on PublicTest"),
    ],
)
def test_refused_flags(flags, text):
    result = CliRunner().invoke(main, ["export", "--checkpoint", "a.safetensors", "--out", "o", *flags])
    assert result.exit_code == 2
    assert text in result.stderr


def test_the_shipped_config_lists_every_limit(repo_dir):
    """INT8 has its budget elsewhere; see `test_a_second_budget_of_int8`."""
    written = yaml.safe_load((repo_dir / "configs" / "export.yaml").read_text())
    assert set(written["limits"]) == {variant.value for variant in Variant}
    for name, limits in written["limits"].items():
        missing = {"max_accuracy_drop"} if Variant(name).scheme else set()
        assert set(limits) == set(type(DEFAULT_LIMITS[Variant.FP32]).model_fields) - missing
    assert load_settings(ExportConfig, repo_dir / "configs" / "export.yaml", {}).limits == DEFAULT_LIMITS
    assert set(written["calibration"]) == set(type(ExportConfig.model_fields["calibration"].default).model_fields)


def test_choices_of_the_flags_are_those_of_the_types():
    choices = {option.name: option.type for option in export_cli.command.params}
    assert list(choices["variants"].choices) == [variant.value for variant in Variant]
    assert list(choices["calibration_method"].choices) == ["max", "percentile", "entropy"]


@pytest.mark.parametrize(
    "file", [*bundled_files("ferplus"), *bundled_files("nano-ferplus")], ids=lambda file: file.name
)
def test_bundled_files_of_ferplus_hold_more_than_the_limit_on_dim_and_soft_faces(file):
    """Limits are by variant; these files are the ones that people use with cameras."""
    found = read_onnx(file).spec.metrics["artifact"]["slice_agreement"]
    assert found[Slice.DIM_SOFT] >= 0.985


@pytest.mark.parametrize("variant", [Variant.INT8, Variant.INT8_CPU])
@pytest.mark.parametrize(("agreement", "is_refused"), [(0.91, True), (0.93, False)])
def test_int8_that_answers_otherwise_on_dim_and_soft_faces_is_refused(variant, agreement, is_refused):
    found = SliceAgreement(Slice.DIM_SOFT, 512, agreement, 0.1, 0.1, None, None)
    assert bool(slice_breaches((found,), DEFAULT_LIMITS[variant].min_slice_agreement)) is is_refused
