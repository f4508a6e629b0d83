"""fer-deploy archive run: settings and printing around `ArchiveRun`."""

import json
import shlex
import sys
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol

import click
from rich.console import Console

from fer_deploy import signals
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.report.stacks import count_text
from fer_deploy.archive.dead_letters import given_up, write_list
from fer_deploy.archive.manifest import About, Manifest
from fer_deploy.archive.planned_models import as_planned, check_models, naming_the_yunet, opened_as_planned
from fer_deploy.archive.run import ArchiveRun
from fer_deploy.archive.segment_plan import plans
from fer_deploy.archive.shard import Shard
from fer_deploy.archive.store import Store
from fer_deploy.archive.todo import Ended
from fer_deploy.archive.work import all_work
from fer_deploy.artifacts import require_file
from fer_deploy.cli.archive import require_none_given_up
from fer_deploy.cli.terminal.archive_progress import ArchiveProgress
from fer_deploy.detectors import detector_line
from fer_deploy.detectors.yunet_file import how_to_replace
from fer_deploy.engines.triton.address import is_triton
from fer_deploy.errors import ConfigError, FerDeployError
from fer_deploy.live.fingerprint.sources import detector_file
from fer_deploy.privacy.redaction import without_passwords


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
    planned = as_planned(config, manifest.about)
    with naming_the_yunet(manifest.about):
        detector = detector_file(planned.detection)
    detector = _file_here(detector, how_to_replace(planned.detection.detector_model))
    _file_here(planned.engine_file, f"--engine FILE, where {manifest.about.engine_name} is on this machine")
    check_models(manifest.about, Fingerprint.with_digest("", planned, engine=planned.engine_file, detector=detector))
    console = Console(stderr=True, markup=False)
    console.print(detector_line(planned.detection), highlight=False, soft_wrap=True)
    where = None if scratch is None else Path(scratch)
    name = f"shard {which}" if which.total > 1 else "archive"
    machine = "this machine" if ray is None else "the cluster"
    ended: Ended | None = None
    try:
        with signals.held(), ExitStack() as opened:
            progress = opened.enter_context(ArchiveProgress(console, name, machine=machine))
            archive: _Run
            if ray is None:
                recipe = partial(opened_as_planned, config, manifest.about)
                archive = ArchiveRun(store, manifest, recipe, progress, shard=which, num_jobs=jobs or 1, scratch=where)
            else:
                ray_run = import_module("fer_deploy.cli.archive.run_on_ray").ray_run
                setting = (store, manifest, config, progress)
                archive = opened.enter_context(ray_run(ray, *setting, jobs=jobs, shard=which, scratch=where, **of_ray))
            signals.on_stop(archive.stop)
            ended = archive.run()
    except FerDeployError as err:
        if not signals.came():
            raise
        # The signal may have ended others, too, as systemd does with all processes of a service.
        click.echo(without_passwords(f"after the signal: {str(err).partition('. Fix: ')[0]}"), err=True)
    if signals.came() or ended is None:
        _stopped(ended)
    _tell(ended, manifest, store)


def _stopped(ended: Ended | None) -> NoReturn:
    """End the program with the code of the signal, and say how to go on."""
    again = shlex.join(["fer-deploy", *sys.argv[1:]])
    kept = "finished segments are kept"
    if ended is not None:
        verb = "is" if ended.num_done == 1 else "are"
        kept = f"{count_text(ended.num_done, 'segment')} of this run {verb} kept"
    click.echo(f"stopped: {kept}. To go on: {again}", err=True)
    sys.exit(128 + signals.came()[0])


def _file_here(path: Path | None, fix: str) -> Path | None:
    """Return a model's file, or the address of a served one; raises ArtifactError if it is missing."""
    return path if path is None or is_triton(path) else require_file(path, fix=fix)


def _check_flags(ray: str | None, of_ray: dict[str, Any]) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in of_ray.items() if value is not None]
    if ray is None and given:
        raise ConfigError(f"{given[0]} has no effect without --ray. Fix: --ray auto, or leave {given[0]} out")


def config_here(about: About, engine: Path | None, detector_model: Path | None) -> AnalyzeConfig:
    """Return the settings of a manifest with the places of the models on this machine."""
    settings = about.config.model_dump(mode="json", exclude={"out"}, exclude_defaults=True) | {"out": "."}
    if engine is not None:
        settings["engine"] = str(engine)
        settings.pop("model", None)
    if detector_model is not None:
        if not about.fingerprint.detector:
            raise ConfigError(
                f"--detector-model is {detector_model}, but the archive was planned with Haar, which has no file. "
                "Fix: leave --detector-model out, or archive plan --detector yunet into another --out"
            )
        settings.setdefault("detection", {})["detector_model"] = str(detector_model)
    return AnalyzeConfig.model_validate_json(json.dumps(settings))


def _tell(ended: Ended, manifest: Manifest, store: Store) -> None:
    """Print the end; segments that were given up are those of the plan as it is now."""
    now = Manifest.find(store) or manifest
    unusable = sum(bool(row.reason) for row in now.rows.values())
    click.echo(
        f"{count_text(ended.num_done, 'segment')} done"
        + (f"; {count_text(unusable, 'file')} of the plan cannot be analyzed" if unusable else "")
    )
    num_new = sum(bool(row.segments) for video_id, row in now.rows.items() if video_id not in manifest.rows)
    if num_new:
        click.echo(f"{count_text(num_new, 'video')} planned meanwhile: fer-deploy archive run {store.argument}")
    dead = given_up(store, all_work(now, plans(now, store)))
    write_list(store, dead)
    require_none_given_up(store, len(dead))
    if ended.num_left == 0 and not num_new:
        click.echo(f"all segments are done. The tables: fer-deploy archive join {store.argument}")
