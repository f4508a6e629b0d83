"""fer-deploy archive verify: printing around `verify`."""

import click

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.joining import verify as archive_verify
from fer_deploy.archive.joining.join import fix_of_gaps
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.store import Store
from fer_deploy.errors import StreamError
from fer_deploy.privacy.redaction import without_passwords


def verify(address: str) -> None:
    """Count again; see `fer_deploy.cli.flags.archive.verify` for the flags."""
    store = Store(address)
    manifest = Manifest.load(store)
    found = archive_verify.verify(store, manifest)
    for note in found.notes:
        click.echo(without_passwords(note), err=True)
    click.echo(
        f"{store}/tables: {count_text(found.num_videos, 'video')}, {count_text(found.num_frames, 'frame')}, "
        f"{count_text(found.num_faces, 'face')}: as in the segments"
    )
    if found.num_left_out:
        text = f"{count_text(found.num_left_out, 'video')} left out"
        if not found.is_incomplete_allowed:
            raise StreamError(f"{text}. Fix: {fix_of_gaps(store, manifest)}")
        click.echo(text, err=True)
