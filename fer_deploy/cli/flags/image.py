"""The flags of fer-deploy image."""

from typing import Any

import click

from fer_deploy.cli import shared_flags
from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import FILE, FOLDER, Command, option


@click.command(
    "image",
    cls=Command,
    examples=[
        ("a line for each face", "fer-deploy image photo.jpg"),
        ("write photos/a.jpg with its faces drawn to drawn/a.png", "fer-deploy image photos --annotate drawn"),
        ("a picture from another program", "curl https://example.org/photo.jpg | fer-deploy image -"),
        ("a row for each face, with all probabilities", "fer-deploy image photos/*.jpg --csv faces.csv"),
    ],
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=shared_flags.VIDEO_PATH,
    metavar="FILE...",
    help="Pictures; - reads one from standard input. A folder stands for every picture in it, in the order of their "
    "names.",
)
@shared_flags.json_flag("each picture")
@option(
    "--csv",
    type=FILE,
    metavar="FILE",
    section="Output",
    help="Write one row for each face, and one for each picture to NAME.frames.csv.",
)
@option(
    "--annotate",
    type=FOLDER,
    metavar="DIR",
    section="Output",
    help="Write each picture with its faces drawn into this folder, as PNG.",
)
@shared_flags.engine_options
@shared_flags.photo_options
def command(**flags: Any) -> None:
    """Recognize emotions in pictures.

    A picture that cannot be read is named and left out; the exit code is 8 then.
    """
    body("image")(**flags)
