"""The help tells the defaults and the choices that the settings have."""

import re
from importlib import import_module
from typing import get_args

import click
from unit.programs import options_of

from fer_deploy.detectors.config import MIN_SCORE
from fer_deploy.detectors.search import FRAME_SHARE, USEFUL_FACE
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.triton.model import ONNX_MAX_BATCH, ONNX_PREFERRED, TritonSettings
from fer_deploy.export.variants import Variant
from fer_deploy.live.config import LiveConfig
from fer_train.audit.config import AuditConfig
from fer_train.audit.findings import REASONS
from fer_train.config import DistillationConfig


def of_the_field(kind: type, path: str):
    """Return (field, its default) at a dotted path in a settings class."""
    *groups, name = path.split(".")
    for group in groups:
        kind = next(
            one
            for one in (kind.model_fields[group].annotation, *get_args(kind.model_fields[group].annotation))
            if hasattr(one, "model_fields")
        )
    return kind.model_fields[name]


def settings_of() -> dict[tuple[str, str], tuple[type, dict[str, str]]]:
    """Return the settings of each command, and the paths of options that are not named as their option is."""
    config = {
        name: import_module(module)
        for name, module in {
            "live": "fer_deploy.live.config",
            "analyze": "fer_deploy.analyze.config",
            "image": "fer_deploy.recognizer",
            "export": "fer_deploy.export.config",
            "build": "fer_deploy.export.plan.config",
            "triton": "fer_deploy.export.triton.model",
            "audit": "fer_train.audit.config",
            "train": "fer_train.config",
        }.items()
    }
    detection = {
        f"--{name.replace('_', '-')}": f"detection.{name}"
        for name in ("detector", "detector_model", "min_face", "roi", "max_faces")
    }
    analysis = detection | {
        "--detect-every": "pipeline.detect_every",
        "--smoothing": "pipeline.people.smoothing_s",
        "--unsure-below": "pipeline.people.unsure_below",
        "--baseline": "pipeline.people.baseline",
        "--neutral-share": "pipeline.people.neutral_share",
        "--workers": "pipeline.workers",
        "--max-frames": "pipeline.max_frames",
    }
    live = (
        analysis
        | {"--keep-trying": "stream.keep_trying"}
        | {
            f"--{name.replace('_', '-')}": f"output.{name}"
            for name in ("record", "video_codec", "jsonl", "csv", "parquet", "mqtt", "serve", "serve_token", "display")
        }
    )
    export = {
        "--variant": "variants",
        "--calibration-split": "calibration.split",
        "--calibration-faces": "calibration.num_faces",
        "--calibration-method": "calibration.method",
    }
    return {
        ("fer-deploy", "live"): (config["live"].LiveConfig, live),
        ("fer-deploy", "analyze"): (config["analyze"].AnalyzeConfig, analysis),
        ("fer-deploy", "image"): (
            config["image"].RecognizerConfig,
            detection | {"--unsure-below": "pipeline.people.unsure_below"},
        ),
        ("fer-deploy", "export"): (config["export"].ExportConfig, export),
        ("fer-deploy", "quantize"): (config["export"].ExportConfig, export),
        ("fer-deploy", "verify"): (config["export"].ExportConfig, export),
        ("fer-deploy", "build"): (config["build"].BuildConfig, {"--compute-capability": "compute_capabilities"}),
        ("fer-deploy", "triton"): (config["triton"].TritonSettings, {}),
        ("fer-train", "audit"): (config["audit"].AuditConfig, {}),
        ("fer-train", "distill"): (
            config["train"].DistillationConfig,
            {"--teacher-weight": "weight", "--teacher": "teachers"},
        ),
    }


WORDS = {
    "fer-deploy live --source": "0",
    "fer-deploy live --display": "where there is a screen",
    "fer-deploy build --flavor": "tensorrt",
    "fer-deploy build --profile": "1 4 64",
    "fer-deploy build --compute-capability": "all but 7.5",
    "fer-deploy triton --cuda-graphs": "cuda-graphs",
    "fer-deploy analyze --video": "video",
    "fer-deploy build --version-compatible": "no",
    "fer-deploy build --tf32": "no",
    "fer-train audit --exclude-reasons": "all but low_contrast",
    "fer-train distill --teacher-weight": "the config's, or 0.5",
    "fer-train distill --temperature": "the config's, or 2",
    "fer-train distill --cached": "the config's, or each-batch",
    "fer-deploy export --flavor": "no plans",
}
"""Defaults whose words are not the default's own text."""


def test_defaults_are_those_of_the_settings():
    compared = 0
    for (program, name), (kind, paths) in settings_of().items():
        for opt, option in options_of(program, name).items():
            path = paths.get(opt, opt.removeprefix("--").replace("-", "_"))
            told = getattr(option, "default_text", "")
            try:
                field = of_the_field(kind, path)
            except KeyError:
                continue
            default = field.get_default(call_default_factory=True)
            if told and f"{program} {name} {opt}" not in WORDS:
                is_value = re.fullmatch(r"[\w.-]+", told) is not None and told not in ("all", "no", "none")
                if is_value and default is not None:
                    text = f"{default:g}" if isinstance(default, float) else str(default)
                    assert told == text, (name, opt)
                    compared += 1
                else:
                    assert default is None or str(default) == told, (name, opt, default, told)
            values = [value for value in get_args(field.annotation) if isinstance(value, str)]
            if values and isinstance(option.type, click.Choice):
                assert sorted(option.type.choices) == sorted(values), (name, opt)
                compared += 1
    assert compared > 40


def test_defaults_in_words_are_those_of_the_code():

    live, build = options_of("fer-deploy", "live"), BuildConfig()
    assert live["--min-score"].default_text == f"{MIN_SCORE:g}"
    assert f"about {USEFUL_FACE} pixels" in live["--min-face"].default_text
    assert f"{FRAME_SHARE:.0%} of" in live["--min-face"].default_text
    assert LiveConfig().source == ("0",)
    assert str(build.flavor) == "tensorrt"
    assert (build.profile.min, build.profile.opt, build.profile.max) == (1, 4, 64)
    assert (build.version_compatible, build.tf32, TritonSettings().cuda_graphs) == (False, False, True)
    assert f"{ONNX_MAX_BATCH} for ONNX" in options_of("fer-deploy", "triton")["--max-batch-size"].default_text
    preferred = options_of("fer-deploy", "triton")["--preferred-batch-size"].default_text
    assert "{} and {} for ONNX".format(*ONNX_PREFERRED) in preferred
    assert options_of("fer-deploy", "export")["--variant"].type.choices == tuple(map(str, Variant))
    assert set(AuditConfig().exclude_reasons) == set(REASONS) - {"low_contrast"}
    assert ", ".join(REASONS) in options_of("fer-train", "audit")["--exclude-reasons"].help
    weight, temperature, cached = (
        DistillationConfig.model_fields[name].default for name in ("weight", "temperature", "cached")
    )
    assert (weight, temperature, cached) == (0.5, 2.0, False)
