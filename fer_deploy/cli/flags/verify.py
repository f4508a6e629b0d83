"""The flags of fer-deploy verify."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
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
        (
            "save the inputs and PyTorch's logits",
            "fer-deploy verify --engine artifacts/net/net-fp32.onnx --checkpoint weights/net.safetensors \\\n"
            "    --save-io net-io.npz",
        ),
        (
            "verify with them, where PyTorch is not installed",
            "fer-deploy verify --engine net-fp16.plan --load-io net-io.npz",
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
    required_text="required without --load-io, here or in --config",
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
    type=click.Choice(shared_flags.DEVICES),
    default="auto",
    show_default=True,
    help="Where the exported model runs.",
)
@option(
    "--save-io",
    type=FILE,
    metavar="FILE",
    section="Saved inputs",
    help="Write the compared faces and PyTorch's logits. With --data these are faces of real people.",
)
@option(
    "--load-io",
    type=FILE,
    metavar="FILE",
    section="Saved inputs",
    help="Compare with saved logits, without --checkpoint and without PyTorch.",
)
@shared_flags.judging_options
@shared_flags.json_flag("the comparison")
@shared_flags.config("configs/export.yaml")
def command(**flags: Any) -> None:
    """Compare an exported model with the checkpoint that it was exported from, or with its saved logits.

    If a limit is broken, the exit code is 6.
    """
    body("verify", "export")(**flags)
