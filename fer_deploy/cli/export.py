"""fer-deploy export, quantize and verify: settings and printing around `fer_deploy.export`."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from fer_deploy.cli.options import settings_from_flags
from fer_deploy.cli.terminal.steps import messages_shown
from fer_deploy.engines.base import Device
from fer_deploy.errors import ConfigError, MissingDependencyError
from fer_deploy.settings import load_settings

_KEYS = {
    "calibration_split": "calibration.split",
    "calibration_faces": "calibration.num_faces",
    "calibration_method": "calibration.method",
    "flavor": "build.flavor",
}
"""Keys of the flags in ExportConfig, where they differ."""


def export(config_path: Path | None, **flags: Any) -> None:
    """Turn a checkpoint into verified ONNX models and plans: FP32, FP16, INT8 for TensorRT, INT8 for CPUs."""
    settings, pipeline = _load_export_modules("config", "pipeline")
    config = settings_from_flags(settings.ExportConfig, config_path, flags, _KEYS)
    with messages_shown(f"exporting {config.checkpoint}") as on_message:
        done = pipeline.export(config, on_message=on_message)
    for line in done.lines():
        click.echo(line)
    if config.data is None and config.variants is None:
        click.echo("INT8 was left out: its ranges need real faces. Fix: --data fer2013.csv")


def quantize(config_path: Path | None, source: Path, variant: str, out: Path, **flags: Any) -> None:
    """Convert an FP32 ONNX to FP16 or INT8 and compare the two; a result that breaks a limit is not written."""
    settings, variants, steps = _load_export_modules("config", "variants", "steps")
    given = flags | {"checkpoint": source, "out": out.parent}
    config = settings_from_flags(settings.ExportConfig, config_path, given, _KEYS)
    with messages_shown(f"quantizing {source}") as on_message:
        found = steps.quantize(source, variants.Variant(variant), config, out=out, on_message=on_message)
    click.echo(f"{out}: {found.in_words()}")


def verify(
    config_path: Path | None,
    artifact: Path,
    device: Device,
    as_json: bool,
    save_io: Path | None,
    load_io: Path | None,
    **flags: Any,
) -> None:
    """Compare an artifact with PyTorch, or with saved logits; a broken limit ends with exit code 6."""
    if load_io is not None:
        others = [name for name, value in {**flags, "save_io": save_io}.items() if value is not None]
        _verify_saved(config_path, artifact, device, as_json, load_io, others)
        return
    settings, steps = _load_export_modules("config", "steps")
    config = settings_from_flags(settings.ExportConfig, config_path, flags | {"out": artifact.parent}, _KEYS)
    with messages_shown(f"verifying {artifact}") as on_message:
        found, reference, spec = steps.verify(artifact, config, device=device, on_message=on_message)
    _print_comparison(artifact, found, as_json)
    if save_io is not None:
        (saved_io,) = _load_export_modules("verify.saved_io")
        saved_io.write_io(save_io, saved_io.SavedIO.of(reference, spec, has_people=config.data is not None))
        people = "" if config.data is None else f": faces of real people from {config.data.name}, personal data"
        click.echo(
            f"{save_io}: {len(reference.faces):,} inputs with the logits of {reference.description}{people}", err=True
        )
    steps.require_kept(found, reference)


def _verify_saved(
    config_path: Path | None, artifact: Path, device: Device, as_json: bool, load_io: Path, others: list[str]
) -> None:
    """Verify against saved logits. PyTorch is not imported."""
    if others:
        raise ConfigError(
            f"--{others[0].replace('_', '-')} does not go with --load-io, whose file has the faces and the logits to "
            "compare with. Fix: leave one of them out"
        )
    config_module, saved_io, against, compare = _load_export_modules(
        "config", "verify.saved_io", "verify.against_saved", "verify.compare", extras="cpu,rebuild"
    )
    unused = {"checkpoint": load_io, "out": artifact.parent}
    config = load_settings(config_module.ExportConfig, config_path, unused)
    saved = saved_io.read_io(load_io)
    with messages_shown(f"verifying {artifact}") as on_message:
        on_message(f"{len(saved.logits):,} inputs of {load_io} ({saved.faces}), logits of {saved.reference}")
        found = against.verify_saved(artifact, saved, config.limits_of, where=str(load_io), device=device)
    _print_comparison(artifact, found, as_json)
    compare.require_kept(found, saved.as_reference())


def _print_comparison(artifact: Path, found: Any, as_json: bool) -> None:
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else f"{artifact}: {found.in_words()}")
    for part in () if as_json else found.slices:
        click.echo(part.in_words())


def _load_export_modules(*names: str, extras: str = "export,cpu") -> tuple[Any, ...]:
    """Return modules of `fer_deploy.export`.

    Raises:
        MissingDependencyError: a package of `extras` is not installed.
    """
    try:
        return tuple(import_module(f"fer_deploy.export.{name}") for name in names)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"export needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[{extras}]'"
        ) from err
