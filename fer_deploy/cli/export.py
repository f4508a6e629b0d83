"""fer-deploy export: flags and printing around `fer_deploy.export.pipeline.export`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fer_deploy.errors import MissingDependencyError
from fer_deploy.settings import load_settings

_path = click.Path(path_type=Path)
_VARIANTS = click.Choice(["fp32", "fp16", "int8", "int8-cpu"])
_FLAVORS = click.Choice(["tensorrt", "tensorrt-rtx"])


@click.command("export")
@click.option("--config", "config_path", type=_path, help="YAML; see configs/export.yaml. Flags win.")
@click.option("--checkpoint", type=_path, help="A .safetensors release, such as weights/net.safetensors.")
@click.option("--out", type=_path, help="Folder of the artifacts.")
@click.option(
    "--data", type=_path,
    help="FER2013 (CSV or folder) to calibrate INT8 on and to be judged by.  [default: a portrait, and no INT8]",
)  # fmt: skip
@click.option("--ferplus", type=_path, help="FER+ votes: judge a model of FER+'s labels by their majority.")
@click.option("--split", help="Of the data, to be judged by.  [default: PublicTest]")
@click.option("--num-faces", type=int, help="Of that split, evenly spread.  [default: all]")
@click.option("--slice-faces", type=int, help="Of these, degraded in several ways; 0: none.  [default: 512]")
@click.option(
    "--clip", type=_path, help="A recording, a picture or a folder of them, whose faces are compared as well."
)
@click.option("--variant", "variants", multiple=True, type=_VARIANTS, help="Again for more.  [default: all]")
@click.option("--max-accuracy-drop", type=float, help="Points that INT8 may cost.  [default: 0.3]")
@click.option("--calibration-split", help="Where INT8 ranges are measured.  [default: Training]")
@click.option("--calibration-faces", type=int, help="How many faces.  [default: 512]")
@click.option("--calibration-method", type=click.Choice(["max", "percentile", "entropy"]), help="[default: percentile]")
@click.option("--flavor", type=_FLAVORS, help="Build plans as well; tensorrt-rtx needs no GPU.  [default: no plans]")
@click.option("--triton", type=_path, help="Write a Triton model repository into this folder as well.")
@click.option("--opset", type=int, help="ONNX operator set.  [default: 20]")
def command(config_path: Path | None, **flags: Any) -> None:
    """Turn a checkpoint into verified ONNX models and plans: FP32, FP16, INT8 for TensorRT, INT8 for CPUs."""
    settings, pipeline = load_export_modules("config", "pipeline")
    config = load_settings(settings.ExportConfig, config_path, nested_flags(flags))
    with telling(f"exporting {config.checkpoint}") as tell:
        done = pipeline.export(config, tell=tell)
    for line in done.lines():
        click.echo(line)
    if config.data is None and config.variants is None:
        click.echo("INT8 was left out: its ranges need real faces. Fix: --data fer2013.csv")


def load_export_modules(*names: str) -> tuple[Any, ...]:
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
def telling(title: str) -> Iterator[Callable[[str], None]]:
    """Yield what shows a step: in one line that moves on a terminal, in a line each elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: console.print(step, highlight=False, markup=False, soft_wrap=True)
        return
    with console.status(title) as status:

        def tell(step: str) -> None:
            if step.startswith("note: "):  # to be read, and not to be overwritten by the next step
                console.print(step, highlight=False, markup=False, soft_wrap=True)
            else:
                status.update(step)

        yield tell


def nested_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """Return flags in the shape of ExportConfig; what was not given is None."""
    names = {"calibration_split": "split", "calibration_faces": "num_faces", "calibration_method": "method"}
    plain = {name: value for name, value in flags.items() if name not in names and name != "flavor"}
    calibration = {inner: flags[name] for name, inner in names.items() if flags.get(name) is not None}
    build = {"flavor": flags["flavor"]} if flags.get("flavor") else None
    return plain | {"variants": flags.get("variants") or None, "calibration": calibration or None, "build": build}
