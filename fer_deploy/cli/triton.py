"""fer-deploy triton: flags and printing around `fer_deploy.export.triton.repository.write_triton_repository`."""

from pathlib import Path
from typing import Any

import click

from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository
from fer_deploy.settings import load_settings

_path = click.Path(path_type=Path)


@click.command("triton")
@click.option("--config", "config_path", type=_path, help="YAML: the flags below, with _ for -. Flags win.")
@click.option(
    "--artifact", "artifacts", type=_path, multiple=True, required=True, help="An .onnx or .plan; repeatable."
)
@click.option("--out", type=_path, required=True, help="The model repository; made where it is not there.")
@click.option("--max-batch-size", type=int, help="Images.  [default: a plan's profile; 64 for ONNX]")
@click.option(
    "--preferred-batch-size", type=int, multiple=True, help="Repeatable.  [default: a plan's opt, max; 8, 32]"
)
@click.option("--max-queue-delay-us", type=int, help="How long a request waits for others.  [default: 500]")
@click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), help="Where the models run.  [default: auto]")
@click.option("--instances", type=int, help="Copies of each model.  [default: 1]")
@click.option(
    "--warmup", type=click.Choice(["zero", "random", "off"]), help="Images run at loading.  [default: random]"
)
@click.option("--cuda-graphs/--no-cuda-graphs", default=None, help="For plans.  [default: on]")
def command(
    config_path: Path | None,
    artifacts: tuple[Path, ...],
    out: Path,
    preferred_batch_size: tuple[int, ...],
    **flags: Any,
) -> None:
    """Write a model repository for Triton Inference Server."""
    flags["preferred_batch_size"] = preferred_batch_size or None
    settings = load_settings(TritonSettings, config_path, flags)
    for model in write_triton_repository(artifacts, out, settings=settings):
        click.echo(f"{model}: config.pbtxt, labels.txt, 1/{next((model / '1').iterdir()).name}")
    click.echo(f"next: tritonserver --model-repository={out.resolve()}", err=True)
