"""fer-deploy archive run: settings and printing around `ArchiveRun`."""

import json
import shlex
import sys
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from fer_deploy import signals
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint, detector_file
from fer_deploy.analyze.models import opened_models
from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.dead_letters import dead_places
from fer_deploy.archive.manifest import About, Manifest, check_models
from fer_deploy.archive.run import ArchiveRun, Ended
from fer_deploy.archive.shard import Shard
from fer_deploy.archive.store import Store
from fer_deploy.cli.terminal.archive_progress import ArchiveProgress
from fer_deploy.errors import StreamError


def run(
    address: str, shard: str, jobs: int, scratch: str | None, engine: Path | None, detector_model: Path | None
) -> None:
    """Run a shard of an archive; see `fer_deploy.cli.flags.archive.run` for the flags."""
    which, store = Shard.of(shard), Store(address)
    manifest = Manifest.load(store)
    config = config_here(manifest.about, engine, detector_model)
    here = Fingerprint.with_digest("", config, engine=config.engine_file, detector=detector_file(config.detection))
    check_models(manifest.about, here)
    console = Console(stderr=True, markup=False)
    with signals.held(), ArchiveProgress(console, f"shard {which}" if which.total > 1 else "archive") as progress:
        recipe = partial(opened_models, config)
        where = None if scratch is None else Path(scratch)
        archive = ArchiveRun(store, manifest, recipe, progress, shard=which, num_jobs=jobs, scratch=where)
        signals.on_stop(archive.stop)
        ended = archive.run()
    if signals.came():
        again = shlex.join(["fer-deploy", *sys.argv[1:]])
        click.echo(
            f"stopped: {count_text(ended.num_done, 'segment')} of this run are kept. To go on: {again}", err=True
        )
        sys.exit(128 + signals.came()[0])
    _tell(ended, manifest, store)


def config_here(about: About, engine: Path | None, detector_model: Path | None) -> AnalyzeConfig:
    """Return the settings of a manifest with the places of the models on this machine."""
    settings = json.loads(json.dumps(about.settings)) | {"out": "."}
    if engine is not None:
        settings["engine"] = str(engine)
        settings.pop("model", None)
    if detector_model is not None:
        settings.setdefault("detection", {})["detector_model"] = str(detector_model)
    return AnalyzeConfig.model_validate_json(json.dumps(settings))


def _tell(ended: Ended, manifest: Manifest, store: Store) -> None:
    unusable = sum(bool(row.reason) for row in manifest.rows.values())
    click.echo(
        f"{count_text(ended.num_done, 'segment')} done"
        + (f"; {count_text(unusable, 'file')} of the plan cannot be analyzed" if unusable else "")
    )
    num_dead = len(dead_places(store))
    if num_dead:
        raise StreamError(
            f"{count_text(num_dead, 'segment')} given up after three tries. Fix: see the reasons in {store}/dead, "
            f"correct their causes, then fer-deploy archive retry {store} and run again; or leave these segments out: "
            f"fer-deploy archive join {store} --allow-incomplete"
        )
    if ended.num_left == 0:
        click.echo(f"all segments are done. The tables: fer-deploy archive join {store}")
