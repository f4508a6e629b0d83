"""fer-deploy verify: flags and printing around `fer_deploy.export.steps.verify`."""

import json
from pathlib import Path
from typing import Any, get_args

import click

from fer_deploy.cli.export import load_export_modules, nested_flags, telling
from fer_deploy.engines.base import Device
from fer_deploy.settings import load_settings

_path = click.Path(path_type=Path)


@click.command("verify")
@click.option("--config", "config_path", type=_path, help="YAML; see configs/export.yaml. Flags win.")
@click.option("--artifact", type=_path, required=True, help="An .onnx or a .plan.")
@click.option("--checkpoint", type=_path, help="The .safetensors release that it came from.")
@click.option("--data", type=_path, help="FER2013 (CSV or folder).  [default: a public-domain portrait]")
@click.option("--ferplus", type=_path, help="FER+ votes: judge a model of FER+'s labels by their majority.")
@click.option("--split", help="Of the data.  [default: PublicTest]")
@click.option("--num-faces", type=int, help="Of that split, evenly spread.  [default: all]")
@click.option("--slice-faces", type=int, help="Of these, degraded in several ways; 0: none.  [default: 512]")
@click.option(
    "--clip", type=_path, help="A recording, a picture or a folder of them, whose faces are compared as well."
)
@click.option("--max-accuracy-drop", type=float, help="Points that INT8 may cost.  [default: 0.3]")
@click.option("--device", type=click.Choice(get_args(Device)), default="auto", help="Where the artifact runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(config_path: Path | None, artifact: Path, device: Device, as_json: bool, **flags: Any) -> None:
    """Hold an artifact against PyTorch; a broken limit ends with exit code 6."""
    settings, steps = load_export_modules("config", "steps")
    config = load_settings(settings.ExportConfig, config_path, nested_flags(flags) | {"out": artifact.parent})
    with telling(f"verifying {artifact}") as tell:
        found, reference = steps.verify(artifact, config, device=device, tell=tell)
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else f"{artifact}: {found.in_words()}")
    for part in () if as_json else found.slices:
        click.echo(part.in_words())
    steps.require_kept(found, reference)
