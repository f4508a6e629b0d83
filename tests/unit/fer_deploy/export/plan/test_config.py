from pathlib import Path

import pytest

from fer_deploy.errors import ConfigError
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.flavors import Flavor
from fer_deploy.settings import load_settings


def load(tmp_path, text: str, **flags) -> BuildConfig:
    path = tmp_path / "build.yaml"
    path.write_text(text)
    return load_settings(BuildConfig, path, flags)


def test_defaults():
    config = BuildConfig()
    assert (config.flavor, config.profile.min, config.profile.opt, config.profile.max) == (Flavor.TENSORRT, 1, 4, 64)
    assert not config.tf32  # FP32 plans are held against FP32 references


@pytest.mark.parametrize("flavor", ["tensorrt-rtx", "tensorrt_rtx"])
def test_yaml(tmp_path, flavor):
    text = f"flavor: {flavor}\ncompute_capabilities: [8.6, '8.9', 12.0]\nprofile: {{min: 1, opt: 8, max: 32}}\n"
    config = load(tmp_path, text)
    assert config.flavor is Flavor.TENSORRT_RTX
    assert config.compute_capabilities == ("8.6", "8.9", "12.0")
    assert config.profile.max == 32


def test_flags_win(tmp_path):
    config = load(tmp_path, "flavor: tensorrt\ntiming_cache: a.cache", timing_cache=Path("b.cache"), workspace_mib=64)
    assert (config.timing_cache, config.workspace_mib) == (Path("b.cache"), 64)


def test_input_shapes(tmp_path):
    text = "input_shapes: {input: {min: [1, 3, 32, 32], opt: [1, 3, 96, 96], max: [1, 3, 640, 640]}}\n"
    shapes = load(tmp_path, text).input_shapes
    assert (shapes["input"].min, shapes["input"].max) == ((1, 3, 32, 32), (1, 3, 640, 640))


ONE = "{x: {min: [1], opt: [2], max: [3]}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precision: fp16", "unknown key 'precision'"),
        ("flavor: tensorflow", "flavor: expected 'tensorrt' or 'tensorrt_rtx'"),
        ("profile: {min: 1, opt: 8, max: 4}", "profile must rise: min 1 <= opt 8 <= max 4"),
        ("profile: {min: 0, opt: 8, max: 8}", "profile.min: expected at least 1"),
        ("workspace_mib: 0", "workspace_mib: expected at least 1"),
        ("flavor: tensorrt-rtx\ncompute_capabilities: [sm86]", "'sm86' is not a compute capability"),
        ("flavor: tensorrt-rtx\ncompute_capabilities: [8.6, 8.6]", "occurs twice"),
        ("compute_capabilities: [8.6]", "compute_capabilities is an option of flavor tensorrt-rtx; tensorrt has none"),
        ("flavor: tensorrt-rtx\ntiming_cache: a", "timing_cache is an option of flavor tensorrt; tensorrt-rtx has"),
        ("flavor: tensorrt-rtx\nversion_compatible: true", "version_compatible is an option of flavor tensorrt;"),
        ("flavor: tensorrt-rtx\nhardware_compatibility: ampere_plus", "hardware_compatibility is an option of flavor"),
        (f"input_shapes: {ONE}\nprofile: {{min: 1, opt: 1, max: 1}}", "give one of them"),
        (f"input_shapes: {ONE}\nversion_compatible: true", "embeds code that only --engine may be allowed to run"),
        ("input_shapes: {x: {min: [2], opt: [1], max: [3]}}", "must rise from min to opt to max, found 2 1 3"),
        ("input_shapes: {x: {min: [1], opt: [2]}}", "input_shapes.x.max"),
        ("hardware_compatibility: all", "expected 'none', 'same_compute_capability' or 'ampere_plus'"),
    ],
)
def test_what_no_plan_can_have(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
