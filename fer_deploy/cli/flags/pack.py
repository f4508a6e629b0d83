"""The flags of fer-deploy pack."""

from typing import Any

import click

from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, FOLDER, Command, option

_INPUTS = "Saved inputs"


@click.command(
    "pack",
    cls=Command,
    examples=[
        (
            "an export in one file, for a machine with a GPU; its inputs are drawn faces",
            "fer-deploy pack artifacts/senet-ferplus --out senet-ferplus.ferpack",
        ),
        (
            "with PyTorch's logits instead of those of the FP32 ONNX",
            "fer-deploy pack artifacts/senet-ferplus --out senet-ferplus.ferpack \\\n"
            "    --checkpoint weights/senet-ferplus.safetensors",
        ),
    ],
)
@click.argument("folder", type=FOLDER, metavar="DIR", help="A folder that fer-deploy export wrote.")
@option("--out", type=FILE, metavar="FILE", required=True, help="The .ferpack to write.")
@option(
    "--checkpoint",
    type=FILE,
    metavar="FILE",
    default_text="logits of the FP32 ONNX",
    section=_INPUTS,
    help="The .safetensors that was exported: the saved logits are PyTorch's.",
)
@option(
    "--data",
    type=FILE,
    metavar="PATH",
    default_text="drawn faces",
    section=_INPUTS,
    help="FER2013 (CSV or folder): save 64 of its faces. The pack then holds faces of real people.",
)
@option("--split", metavar="NAME", default_text="PublicTest", section=_INPUTS, help="Split of --data.")
def command(**flags: Any) -> None:
    """Write an export into one file, from which fer-deploy rebuild builds and proves plans on another machine.

    It holds the ONNX models, the recipe with the calibrated ranges, the report, and 64 inputs with their logits.
    """
    body("pack")(**flags)
