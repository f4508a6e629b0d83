"""The flags of fer-deploy inspect."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, Command


@click.command(
    "inspect",
    cls=Command,
    examples=[
        ("a checkpoint: its labels, accuracy and origin", "fer-deploy inspect weights/net.safetensors"),
        ("a plan: does it fit this machine?", "fer-deploy inspect artifacts/net/net-fp16.plan --json"),
        (
            "what differs between two models",
            "fer-deploy inspect net-fp32.onnx net-int8.onnx",
        ),
    ],
)
@click.argument("file", type=FILE, metavar="FILE", help="A .safetensors, .onnx or .plan.")
@click.argument("other", type=FILE, metavar="[OTHER]", required=False, help="A second file, compared with the first.")
@shared_flags.json_flag("everything")
def command(**flags: Any) -> None:
    """Describe a checkpoint, an ONNX model or a plan, or tell what differs between two. Nothing in them is executed.

    With two files, the exit code is 0 if nothing differs and 1 if something does, as of diff.
    """
    body("inspect")(**flags)
