"""fer-deploy export: flags and printing around `fer_deploy.export.pipeline.export`."""

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from fer_deploy.errors import MissingDependencyError
from fer_deploy.export.config import ExportConfig
from fer_deploy.settings import load_settings

_path = click.Path(path_type=Path)


@click.command("export")
@click.option("--config", "config_path", type=_path, help="YAML; see configs/export.yaml. Flags win.")
@click.option("--checkpoint", type=_path, help="A .safetensors release, such as weights/net.safetensors.")
@click.option("--out", type=_path, help="Folder of the artifacts.")
@click.option("--data", type=_path, help="FER2013 (CSV or folder) to verify on.  [default: a public-domain portrait]")
@click.option("--opset", type=int, help="ONNX operator set.  [default: 20]")
def command(config_path: Path | None, **flags: Any) -> None:
    """Turn a checkpoint into a verified FP32 ONNX model."""
    config = load_settings(ExportConfig, config_path, flags)
    try:
        pipeline = import_module("fer_deploy.export.pipeline")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"export needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[export,cpu]'"
        ) from err
    click.echo(f"exporting {config.checkpoint} ...", err=True)
    done = pipeline.export(config)
    click.echo(
        f"{done.onnx}: max |Δlogit| {done.agreement.max_abs_logit:.1e}, same emotion {done.agreement.agreement:.2%} "
        f"on {done.agreement.num_faces} faces ({done.agreement.faces}); report: {done.report}"
    )
