"""The flags of fer-deploy bench."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FOLDER, Command, option

_LIMITS, _MEASURING = "What is best", "Measuring"


@click.command(
    "bench",
    cls=Command,
    examples=[
        ("which bundled model is the fastest here?", "fer-deploy bench"),
        ("which artifact is the fastest here, with how many threads?", "fer-deploy bench artifacts/net"),
        (
            "as many faces a second as possible, hardly any later than 50 ms",
            "fer-deploy bench artifacts/net --goal throughput --latency-budget 50",
        ),
        ("use the winner", "fer-deploy live --engine artifacts/net"),
        ("a look, with all numbers", "fer-deploy bench artifacts/net --quick --json"),
        ("where the time of a model goes", "fer-deploy bench artifacts/net/net-int8-cpu.onnx --layers"),
    ],
)
@click.argument(
    "folder",
    type=FOLDER,
    metavar="[DIR]",
    required=False,
    help="A folder that fer-deploy export wrote; gets best.json. Without it: the bundled models.",
)
@option(
    "--goal",
    type=click.Choice(["latency", "throughput", "size"]),
    default_text="latency",
    section=_LIMITS,
    help="What is ranked: time of one face, faces a second, or the size of the file.",
)
@option(
    "--latency-budget",
    type=float,
    metavar="MS",
    default_text="none",
    section=_LIMITS,
    help="Limit of the 99th percentile of a call's time.",
)
@option(
    "--max-accuracy-drop",
    type=float,
    metavar="POINTS",
    default_text="1",
    section=_LIMITS,
    help="How much accuracy may be lost against the checkpoint.",
)
@option(
    "--quick", is_flag=True, default=None, section=_MEASURING, help="A look: short windows, fewer batches and pairs."
)
@option(
    "--threads",
    type=int,
    metavar="N",
    default_text="every core",
    section=_MEASURING,
    help="The most threads of a call, and the number of workers.",
)
@option(
    "--device",
    type=click.Choice(shared_flags.DEVICES),
    default_text="auto: all",
    section=_MEASURING,
    help="Measure on this device only.",
)
@option(
    "--layers",
    is_flag=True,
    section=_MEASURING,
    help="DIR is one .onnx or .plan: print the time of each of its layers instead.",
)
@shared_flags.json_flag("all numbers")
def command(**flags: Any) -> None:
    """Measure every artifact in DIR with every engine that runs here, and write the best ones into best.json.

    Afterwards --engine DIR, and engine="DIR" in Python, take the best one. Without DIR the bundled models are measured,
    and live, analyze, image and Recognizer take the best one of a family. This is not MLPerf.
    """
    body("bench")(**flags)
