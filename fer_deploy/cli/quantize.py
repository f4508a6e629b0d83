"""fer-deploy quantize: flags and printing around `fer_deploy.export.steps.quantize`."""

from pathlib import Path
from typing import Any

import click

from fer_deploy.cli.export import load_export_modules, nested_flags, telling
from fer_deploy.settings import load_settings

_path = click.Path(path_type=Path)


@click.command("quantize")
@click.option("--config", "config_path", type=_path, help="YAML; see configs/export.yaml. Flags win.")
@click.option("--onnx", "source", type=_path, required=True, help="FP32 model, from fer-deploy export.")
@click.option("--variant", required=True, type=click.Choice(["fp16", "int8", "int8-cpu"]), help="What to make of it.")
@click.option("--out", type=_path, required=True, help="The .onnx to write.")
@click.option("--data", type=_path, help="FER2013 (CSV or folder): ranges of INT8, and what is judged by.")
@click.option("--ferplus", type=_path, help="FER+ votes: judge a model of FER+'s labels by their majority.")
@click.option("--split", help="Of the data, to be judged by.  [default: PublicTest]")
@click.option("--num-faces", type=int, help="Of that split, evenly spread.  [default: all]")
@click.option("--slice-faces", type=int, help="Of these, degraded in several ways; 0: none.  [default: 512]")
@click.option(
    "--clip", type=_path, help="A recording, a picture or a folder of them, whose faces are compared as well."
)
@click.option("--max-accuracy-drop", type=float, help="Points that INT8 may cost.  [default: 0.3]")
@click.option("--calibration-split", help="Where INT8 ranges are measured.  [default: Training]")
@click.option("--calibration-faces", type=int, help="How many faces.  [default: 512]")
@click.option("--calibration-method", type=click.Choice(["max", "percentile", "entropy"]), help="[default: percentile]")
def command(config_path: Path | None, source: Path, variant: str, out: Path, **flags: Any) -> None:
    """Turn an FP32 ONNX into FP16 or INT8, held against it; nothing is written that breaks a limit."""
    settings, variants, steps = load_export_modules("config", "variants", "steps")
    given = nested_flags(flags) | {"checkpoint": source, "out": out.parent}
    config = load_settings(settings.ExportConfig, config_path, given)
    with telling(f"quantizing {source}") as tell:
        found = steps.quantize(source, variants.Variant(variant), config, out=out, tell=tell)
    click.echo(f"{out}: {found.in_words()}")
