"""fer-deploy archive retry: printing around `remove_dead_letters`."""

from collections import Counter

import click

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.dead_letters import Kind, dead_letters, given_up, remove_dead_letters
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import all_work, remove_damaged
from fer_deploy.errors import ConfigError


def retry(address: str, only: Kind | None, damaged: bool) -> None:
    """Remove dead letters, or damaged files; see `fer_deploy.cli.flags.archive.retry` for the flags."""
    store = Store(address)
    manifest = Manifest.load(store)
    works = all_work(manifest, plans(manifest, store))
    if damaged:
        if only is not None:
            raise ConfigError(
                "--damaged looks at finished segments, --only at those given up. Fix: one of them at a time"
            )
        num = remove_damaged(store, works)
        again = f" and removed: fer-deploy archive run {store.argument}" if num else ""
        click.echo(f"all finished segments were read; {count_text(num, 'segment')} damaged{again}")
        return
    num = remove_dead_letters(store, works, only)
    what = count_text(num, "segment") if only is None else f"{count_text(num, 'segment')} ({only})"
    if only is not None and num == 0:
        left = given_up(store, works)
        kinds = Counter(letter.kind for letter in dead_letters(store).values() if letter.place in left)
        there = ", ".join(f"{num_of} {kind}" for kind, num_of in sorted(kinds.items()))
        click.echo(f"no segment was given up with {only}" + (f"; given up: {there}" if there else "; none at all"))
        return
    click.echo(f"{what} will be tried again" + (f": fer-deploy archive run {store.argument}" if num else ""))
