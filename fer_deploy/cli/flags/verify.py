"""The flags of fer-deploy verify."""

from typing import Any

import click

from fer_deploy.cli.flags import body, shared
from fer_deploy.cli.interface import FILE, Command, option


@click.command(
    "verify",
    cls=Command,
    examples=[
        (
            "on a portrait",
            "fer-deploy verify --engine artifacts/net/net-fp16.onnx --checkpoint weights/net.safetensors",
        ),
        (
            "on the faces of PublicTest",
            "fer-deploy verify --engine artifacts/net/net-int8-cpu.onnx --checkpoint weights/net.safetensors \\\n"
            "    --data fer2013.csv",
        ),
    ],
)
@option(
    "--engine",
    "artifact",
    type=FILE,
    metavar="FILE",
    required=True,
    formerly=("--artifact",),
    help="The exported model: .onnx or .plan.",
)
@option(
    "--checkpoint",
    type=FILE,
    metavar="FILE",
    required_text="required, here or in --config",
    help="The .safetensors release that it was exported from.",
)
@option(
    "--data",
    type=FILE,
    metavar="PATH",
    default_text="a public-domain portrait",
    help="FER2013 (CSV or folder) that accuracy is measured on.",
)
@option(
    "--device",
    type=click.Choice(shared.DEVICES),
    default="auto",
    show_default=True,
    help="Where the exported model runs.",
)
@shared.judging_options
@shared.json_flag("the comparison")
@shared.config("configs/export.yaml")
def command(**flags: Any) -> None:
    """Compare an exported model with the checkpoint that it was exported from.

    If a limit is broken, the exit code is 6.
    """
    body("verify", "export")(**flags)
