"""fer-deploy export, quantize and verify: settings and printing around `fer_deploy.export`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_deploy.cli.options import settings_from_flags
from fer_deploy.engines.base import Device
from fer_deploy.errors import MissingDependencyError

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
    with _messages_shown(f"exporting {config.checkpoint}") as on_message:
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
    with _messages_shown(f"quantizing {source}") as on_message:
        found = steps.quantize(source, variants.Variant(variant), config, out=out, on_message=on_message)
    click.echo(f"{out}: {found.in_words()}")


def verify(config_path: Path | None, artifact: Path, device: Device, as_json: bool, **flags: Any) -> None:
    """Compare an artifact with PyTorch; a broken limit ends with exit code 6."""
    settings, steps = _load_export_modules("config", "steps")
    config = settings_from_flags(settings.ExportConfig, config_path, flags | {"out": artifact.parent}, _KEYS)
    with _messages_shown(f"verifying {artifact}") as on_message:
        found, reference = steps.verify(artifact, config, device=device, on_message=on_message)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else f"{artifact}: {found.in_words()}")
    for part in () if as_json else found.slices:
        click.echo(part.in_words())
    steps.require_kept(found, reference)


def _load_export_modules(*names: str) -> tuple[Any, ...]:
    """Return modules of `fer_deploy.export`.

    Raises:
        MissingDependencyError: the extra `export` is not installed.
    """
    try:
        return tuple(import_module(f"fer_deploy.export.{name}") for name in names)
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"export needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[export,cpu]'"
        ) from err


@contextmanager
def _messages_shown(title: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows a step: as a status line on a terminal, else on a line of its own."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: console.print(step, highlight=False, markup=False, soft_wrap=True)
        return
    with console.status(title) as status:

        def show(step: str) -> None:
            if step.startswith("note: "):  # to be read, and not to be overwritten by the next step
                console.print(step, highlight=False, markup=False, soft_wrap=True)
            else:
                status.update(step)

        yield show
