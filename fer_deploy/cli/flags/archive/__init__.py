"""The flags of fer-deploy archive and its commands."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import click

from fer_deploy.cli.flags import body
from fer_deploy.cli.interface import Group, option
from fer_deploy.errors import MissingDependencyError

COMMANDS: Final = {
    "plan": "list videos, cut them into segments, and estimate the cost",
    "run": "compute segments, on any number of machines",
    "status": "what is done, missing and given up, and what it cost",
    "retry": "let the next run try segments that were given up",
    "join": "tables of all videos whose segments are done",
    "verify": "count the frames of the tables, segments and manifest again",
}
_HEADINGS: Final = {"In this order": tuple(COMMANDS)}
_MANIFEST: Final = "manifest.parquet"
_OF_THE_EXTRA: Final = ("fsspec", "pyarrow")


class Amount(click.FloatRange):
    """A number of at least 0; not nan, and not infinite."""

    def __init__(self) -> None:
        """Set the range."""
        super().__init__(0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails with a usage error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not in the range x>=0 and below infinity.", param, ctx)
        return number


def _of_manifest(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the folder of a manifest; other addresses as they are."""
    return value.removesuffix(f"/{_MANIFEST}") if value != _MANIFEST else "."


address = click.argument(
    "address",
    metavar="URL",
    callback=_of_manifest,
    help="The output of archive plan: a folder or an address, or the manifest.parquet in it.",
)
scratch = option(
    "--scratch",
    type=click.Path(file_okay=False),
    metavar="DIR",
    default_text="the system's temporary folder",
    help="Folder for copies of remote videos and for unfinished files.",
)


def archive_body(command: str) -> Callable[..., None]:
    """Import the work of a command and return it.

    Raises:
        MissingDependencyError: a package of the extra is not installed.
    """
    try:
        import_module(f"fer_deploy.cli.archive.{command}")
    except ModuleNotFoundError as err:
        if (err.name or "").partition(".")[0] not in _OF_THE_EXTRA:
            raise
        raise MissingDependencyError(
            f"archive needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[cpu,archive]'"
        ) from err
    return body(command, module=f"archive.{command}")


@click.group(
    "archive",
    cls=Group,
    package=__name__,
    headings=_HEADINGS,
    short_helps=COMMANDS,
    examples=[
        ("a folder of videos: the plan, with an estimate of the cost", "fer-deploy archive plan videos --out archive"),
        ("on one machine, or on each of several", "fer-deploy archive run archive --jobs 2"),
        ("the tables", "fer-deploy archive join archive"),
    ],
)
def command(**_: Any) -> None:
    """Analyze thousands of videos on many machines, which share nothing but the address of the output.

    A run that was stopped or killed continues where it was: give the same command again.
    """
