"""The flags of fer-deploy quantize."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, Command, option


@click.command(
    "quantize",
    cls=Command,
    examples=[
        (
            "FP16, compared on a portrait",
            "fer-deploy quantize --onnx artifacts/net/net-fp32.onnx --variant fp16 --out net-fp16.onnx",
        ),
        (
            "INT8 for CPUs, at most half a point of accuracy lost",
            "fer-deploy quantize --onnx artifacts/net/net-fp32.onnx --variant int8-cpu --out net-int8-cpu.onnx \\\n"
            "    --data fer2013.csv --max-accuracy-drop 0.5",
        ),
    ],
)
@option("--onnx", "source", type=FILE, metavar="FILE", required=True, help="FP32 model, from fer-deploy export.")
@option("--variant", required=True, type=click.Choice(["fp16", "int8", "int8-cpu"]), help="What to make of it.")
@option("--out", type=FILE, metavar="FILE", required=True, help="The .onnx to write.")
@option(
    "--data",
    type=FILE,
    metavar="PATH",
    help="FER2013 (CSV or folder) that INT8 is calibrated on and accuracy is measured on.",
)
@shared_flags.judging_options
@shared_flags.calibration_options
@shared_flags.config("configs/export.yaml")
def command(**flags: Any) -> None:
    """Turn an FP32 ONNX model into FP16 or INT8. A result that breaks a limit of accuracy is not written."""
    body("quantize", "export")(**flags)
