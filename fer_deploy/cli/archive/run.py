"""fer-deploy archive run: settings and printing around `ArchiveRun`."""

import json
import shlex
import sys
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console

from fer_deploy import signals
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.models import opened_models
from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.dead_letters import dead_places
from fer_deploy.archive.manifest import About, Manifest, check_models
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.archive.shard import Shard
from fer_deploy.archive.store import Store
from fer_deploy.archive.todo import Ended
from fer_deploy.cli.terminal.archive_progress import ArchiveProgress
from fer_deploy.detectors import detector_line
from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live.fingerprint.sources import detector_file


class _Run(Protocol):
    """A run with the workers of this machine, or of a cluster."""

    def stop(self) -> None: ...

    def run(self) -> Ended: ...


def run(
    address: str,
    shard: str,
    jobs: int | None,
    scratch: str | None,
    engine: Path | None,
    detector_model: Path | None,
    ray: str | None,
    **of_ray: Any,
) -> None:
    """Run a shard of an archive; see `fer_deploy.cli.flags.archive.run` for the flags."""
    which, store = Shard.of(shard), Store(address)
    _check_flags(ray, of_ray)
    manifest = Manifest.load(store)
    config = config_here(manifest.about, engine, detector_model)
    here = Fingerprint.with_digest("", config, engine=config.engine_file, detector=detector_file(config.detection))
    check_models(manifest.about, here)
    console = Console(stderr=True, markup=False)
    console.print(detector_line(config.detection), highlight=False, soft_wrap=True)
    where = None if scratch is None else Path(scratch)
    name = f"shard {which}" if which.total > 1 else "archive"
    machine = "this machine" if ray is None else "the cluster"
    with signals.held(), ExitStack() as opened:
        progress = opened.enter_context(ArchiveProgress(console, name, machine=machine))
        archive: _Run
        if ray is None:
            recipe = partial(opened_models, config)
            archive = ArchiveRun(store, manifest, recipe, progress, shard=which, num_jobs=jobs or 1, scratch=where)
        else:
            ray_run = import_module("fer_deploy.cli.archive.run_on_ray").ray_run
            setting = (store, manifest, config, progress)
            archive = opened.enter_context(ray_run(ray, *setting, jobs=jobs, shard=which, scratch=where, **of_ray))
        signals.on_stop(archive.stop)
        ended = archive.run()
    if signals.came():
        again = shlex.join(["fer-deploy", *sys.argv[1:]])
        click.echo(
            f"stopped: {count_text(ended.num_done, 'segment')} of this run are kept. To go on: {again}", err=True
        )
        sys.exit(128 + signals.came()[0])
    _tell(ended, manifest, store)


def _check_flags(ray: str | None, of_ray: dict[str, Any]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in of_ray.items() if value is not None]
    if ray is None and given:
        raise ConfigError(f"{given[0]} has no effect without --ray. Fix: --ray auto, or leave {given[0]} out")


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
