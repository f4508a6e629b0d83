"""fer-deploy triton: settings and printing around `fer_deploy.export.triton.repository.write_triton_repository`."""

from pathlib import Path
from typing import Any

import click

from fer_deploy.artifacts import Family, bundled_model
from fer_deploy.cli.options import settings_from_flags
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository


def triton(
    config_path: Path | None,
    artifacts: tuple[Path, ...],
    families: tuple[Family, ...],
    detector: Path | None,
    out: Path,
    **flags: Any,
) -> None:
    """Write a model repository for Triton Inference Server."""
    settings = settings_from_flags(TritonSettings, config_path, flags)
    files_of_models = (*artifacts, *(bundled_model(family=family) for family in families))
    for model in write_triton_repository(files_of_models, out, settings=settings, detector=detector):
        files = sorted(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file())
        click.echo(f"{model}: {', '.join(sorted(files, key=lambda name: '/' in name))}")
    click.echo(f"next: tritonserver --model-repository={out.resolve()}", err=True)
