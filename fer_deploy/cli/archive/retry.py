"""fer-deploy archive retry: printing around `remove_dead_letters`."""

import click

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.dead_letters import Kind, remove_dead_letters
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.store import Store


def retry(address: str, only: Kind | None) -> None:
    """Remove dead letters; see `fer_deploy.cli.flags.archive.retry` for the flags."""
    store = Store(address)
    Manifest.load(store)  # an address without an archive is a mistake
    num = remove_dead_letters(store, only)
    what = count_text(num, "segment") if only is None else f"{count_text(num, 'segment')} ({only})"
    click.echo(f"{what} will be tried again" + (f": fer-deploy archive run {store}" if num else ""))
