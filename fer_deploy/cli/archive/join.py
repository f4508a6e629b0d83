"""fer-deploy archive join: printing around `join`."""

from pathlib import Path

import click
from rich.console import Console

from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.joining import join as archive_join
from fer_deploy.archive.joining.replayed import ReplayedVideo
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.store import Store
from fer_deploy.errors import StreamError


def join(address: str, allow_incomplete: bool, jobs: int, scratch: str | None) -> None:
    """Write the tables; see `fer_deploy.cli.flags.archive.join` for the flags."""
    console = Console(stderr=True, markup=False)
    store = Store(address)

    def tell(video: ReplayedVideo) -> None:
        if text := video.gap or video.trouble:
            console.print(f"{video.row.shown}: {text}", highlight=False, soft_wrap=True)

    where = None if scratch is None else Path(scratch)
    manifest = Manifest.load(store)
    done = archive_join.join(
        store, manifest, allow_incomplete=allow_incomplete, jobs=jobs, scratch=where, on_video=tell
    )
    num_frames, num_faces = (sum(getattr(one, name) for one in done.videos) for name in ("num_frames", "num_faces"))
    click.echo(
        f"{store}/tables: {count_text(len(done.videos), 'video')}, {count_text(num_frames, 'frame')}, "
        f"{count_text(num_faces, 'face')}" + (f"; {len(done.left_out)} left out" if done.left_out else "")
    )
    if done.left_out and not allow_incomplete:
        raise StreamError(
            f"{count_text(len(done.left_out), 'video')} left out; see the reasons above. Fix: "
            f"{archive_join.fix_of_gaps(store, manifest)}; or --allow-incomplete, which includes videos up to the gap"
        )
    if any(video.is_marked for video in (*done.videos, *done.left_out)):
        click.echo(
            f"some segments are to be computed again: fer-deploy archive run {store.argument}, then join", err=True
        )
