"""fer-deploy triton: settings and printing around `fer_deploy.export.triton.repository.write_triton_repository`."""

from pathlib import Path
from typing import Any

import click

from fer_deploy.cli.options import settings_from_flags
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository


def triton(
    config_path: Path | None,
    artifacts: tuple[Path, ...],
    out: Path,
    **flags: Any,
) -> None:
    """Write a model repository for Triton Inference Server."""
    settings = settings_from_flags(TritonSettings, config_path, flags)
    for model in write_triton_repository(artifacts, out, settings=settings):
        click.echo(f"{model}: config.pbtxt, labels.txt, 1/{next((model / '1').iterdir()).name}")
    click.echo(f"next: tritonserver --model-repository={out.resolve()}", err=True)
