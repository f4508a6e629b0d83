"""The flags of fer-deploy export."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, FOLDER, Command, option

_OUTPUT = "Output"
_REQUIRED = "required, here or in --config"


@click.command(
    "export",
    cls=Command,
    examples=[
        (
            "FP32 and FP16, compared with PyTorch on a portrait",
            "fer-deploy export --checkpoint weights/senet-ferplus.safetensors --out artifacts/senet-ferplus",
        ),
        (
            "INT8 as well: its ranges and its accuracy need real faces",
            "fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net --data fer2013.csv",
        ),
        (
            "one variant, and a TensorRT plan of it; tensorrt-rtx needs no GPU",
            "fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net \\\n"
            "    --variant fp16 --flavor tensorrt-rtx",
        ),
    ],
)
@option(
    "--checkpoint",
    type=FILE,
    metavar="FILE",
    required_text=_REQUIRED,
    help="A .safetensors release, such as weights/net.safetensors.",
)
@option(
    "--data",
    type=FILE,
    metavar="PATH",
    default_text="a portrait, and no INT8",
    help="FER2013 (CSV or folder) that INT8 is calibrated on and accuracy is measured on.",
)
@option("--out", type=FOLDER, metavar="DIR", required_text=_REQUIRED, section=_OUTPUT, help="Folder of the artifacts.")
@option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(["fp32", "fp16", "int8", "int8-cpu"]),
    default_text="all that the data allows",
    section=_OUTPUT,
    help="What to make. Repeat it for several.",
)
@option(
    "--flavor",
    type=click.Choice(["tensorrt", "tensorrt-rtx"]),
    default_text="no plans",
    section=_OUTPUT,
    help="Build TensorRT plans as well; tensorrt-rtx needs no GPU.",
)
@option(
    "--triton",
    type=FOLDER,
    metavar="DIR",
    section=_OUTPUT,
    help="Write a model repository for Triton into this folder as well.",
)
@option("--opset", type=int, metavar="N", default_text="20", section=_OUTPUT, help="ONNX operator set.")
@shared_flags.judging_options
@shared_flags.calibration_options
@shared_flags.config("configs/export.yaml")
def command(**flags: Any) -> None:
    """Turn a checkpoint into verified ONNX models and plans: FP32, FP16, INT8 for TensorRT, INT8 for CPUs.

    Each artifact is compared with PyTorch. One that breaks a limit is not written, and the exit code is 6 then.
    """
    body("export")(**flags)
