"""fer-deploy archive status: printing around `status`."""

import json

import click

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive import status as archive_status
from fer_deploy.archive.dead_letters import LIST
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.status import Status
from fer_deploy.archive.store import Store
from fer_deploy.cli.archive import money_text, number_text, require_none_given_up
from fer_deploy.durations import duration_text


def status(address: str, price_per_core_hour: float | None, as_json: bool) -> None:
    """Print the status; see `fer_deploy.cli.flags.archive.status` for the flags."""
    store = Store(address)
    manifest = Manifest.load(store)
    now = archive_status.status(store, manifest)
    price = manifest.about.price_per_core_hour if price_per_core_hour is None else price_per_core_hour
    if as_json:
        click.echo(json.dumps(now.as_json(price)))
    else:
        _tell(now, price, store)
    require_none_given_up(store, now.num_dead)


def _tell(now: Status, price: float, store: Store) -> None:
    share = now.frames_done / now.frames_total if now.frames_total else 1.0
    click.echo(
        f"{count_text(now.num_videos, 'video')}, {count_text(now.num_unusable, 'other file')}: "
        f"{count_text(now.num_done, 'segment')} done ({share:.1%} of the frames), {now.num_missing:,} missing, "
        f"{now.num_dead:,} given up"
    )
    if now.num_damaged:
        of = "" if now.is_all_read else f" of {now.num_read:,} that were read are"
        click.echo(
            f"{count_text(now.num_damaged, 'segment')}{of} damaged, or of another plan. Fix: fer-deploy archive retry "
            f"{store.argument} --damaged, and run again"
        )
    if now.dead_by_kind:
        kinds = ", ".join(f"{num} {kind}" for kind, num in sorted(now.dead_by_kind.items()))
        click.echo(f"given up: {kinds}; the reasons are in {store}/{LIST}")
    money = f", {money_text(now.core_hours * price)} at {price:g} a core-hour" if price else ""
    click.echo(f"so far {number_text(now.core_hours)} core-hours{money}")
    if now.core_hours_left:
        left = "" if now.eta_s is None else f", {duration_text(now.eta_s, decimals=0)} at the speed of the last minutes"
        click.echo(f"to come about {number_text(now.core_hours_left)} core-hours{left}")
