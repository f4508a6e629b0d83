"""The flags of fer-deploy rebuild."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, FOLDER, Command, option

_PLANS, _SPEED = "Plans", "Speed"


@click.command(
    "rebuild",
    cls=Command,
    examples=[
        (
            "build every plan that this machine can build, verify all artifacts, measure them",
            "fer-deploy rebuild senet-ferplus.ferpack --out artifacts/senet-ferplus",
        ),
        (
            "plans for PCs with RTX, built without a GPU, and no measurement",
            "fer-deploy rebuild senet-ferplus.ferpack --out artifacts/senet-ferplus \\\n"
            "    --flavor tensorrt-rtx --no-bench",
        ),
    ],
)
@click.argument("pack", type=FILE, metavar="FILE", help="A .ferpack that fer-deploy pack wrote.")
@option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    required=True,
    help="A new folder, or one with an earlier rebuild of the same pack.",
)
@option(
    "--flavor",
    type=click.Choice(["tensorrt", "tensorrt-rtx"]),
    default_text="all that are installed",
    section=_PLANS,
    help="Build plans with this library only. tensorrt needs the GPU, tensorrt-rtx none.",
)
@option(
    "--profile",
    type=int,
    nargs=3,
    metavar="MIN OPT MAX",
    default_text="those of the export's plans, else 1 4 64",
    section=_PLANS,
    help="Batch sizes.",
)
@option("--no-bench", is_flag=True, section=_SPEED, help="Measure no speed, and write no best.json.")
@option("--quick", is_flag=True, section=_SPEED, help="A look: short windows, fewer batches and pairs.")
@shared_flags.json_flag("the results")
def command(**flags: Any) -> None:
    """Unpack a model, build its plans, verify every artifact against the saved logits, and measure them.

    Needs neither PyTorch nor data: pip install 'fer-toolchain[cpu,rebuild]', and tensorrt or tensorrt-rtx for plans.
    An artifact that breaks a limit is not written, and the exit code is 6 then.
    """
    body("rebuild")(**flags)
