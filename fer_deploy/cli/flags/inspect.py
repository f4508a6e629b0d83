"""The flags of fer-deploy inspect."""

from typing import Any

import click

from fer_deploy.cli.flags import body, shared
from fer_deploy.cli.interface import FILE, Command


@click.command(
    "inspect",
    cls=Command,
    examples=[
        ("a checkpoint: its labels, accuracy and origin", "fer-deploy inspect weights/net.safetensors"),
        ("a plan: does it fit this machine?", "fer-deploy inspect artifacts/net/net-fp16.plan --json"),
    ],
)
@click.argument("file", type=FILE, metavar="FILE", help="A .safetensors, .onnx or .plan.")
@shared.json_flag("everything")
def command(**flags: Any) -> None:
    """Describe a checkpoint, an ONNX model or a plan. Nothing in the file is executed."""
    body("inspect")(**flags)
