"""The flags of fer-deploy demo."""

from typing import Any

import click

from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FOLDER, Command, option


@click.command(
    "demo",
    cls=Command,
    examples=[
        ("a clip with people, fetched once: 2.2 MB, size and SHA-256 are checked", "fer-deploy demo"),
        ("drawn faces: a self-test of the model; nothing is fetched", "fer-deploy demo --drawn"),
    ],
)
@option(
    "--out",
    type=FOLDER,
    default="demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the video and the results.",
)
@option("--drawn", is_flag=True, help="Use the drawn faces; nothing is fetched.")
@option("--verbose", is_flag=True, help="Print the latencies of all stages at the end, too.")
def command(**flags: Any) -> None:
    """Show a first result, without a camera: who is seen, how long, and with which emotions.

    Without a network, or where the files do not come within five seconds, the faces are drawn.
    """
    body("demo")(**flags)
