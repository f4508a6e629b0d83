"""fer-deploy build: settings and printing around `fer_deploy.export.plan.build.build_plan`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fer_deploy.cli.options import settings_from_flags
from fer_deploy.errors import ExportError, MissingDependencyError
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.manifest import NetworkManifest, PlanManifest, manifest_path, shape_text


def build(config_path: Path | None, onnx: Path, out: Path, **flags: Any) -> None:
    """Turn a verified ONNX model, or with --input-shapes another network, into a TensorRT plan with its manifest."""
    config = settings_from_flags(BuildConfig, config_path, _with_groups(flags))
    try:
        module = import_module("fer_deploy.export.plan.build")
    except ModuleNotFoundError as err:
        raise MissingDependencyError(
            f"build needs {err.name}, which is not installed. Fix: pip install 'fer-toolchain[export]'"
        ) from err
    module.require_suffix(out)  # before the line that says it is being built
    console = Console(stderr=True)
    console.print(f"building {onnx} with {config.flavor.display_name} ...", highlight=False, soft_wrap=True)
    try:
        with _progress(console) as progress:
            run = module.build_network_plan if config.input_shapes else module.build_plan
            manifest = run(onnx, out, config, progress=progress)
    except ExportError as err:
        for note in getattr(err, "__notes__", ()):
            click.echo(note, err=True)
        raise
    click.echo(describe(out, manifest))


def describe(out: Path, manifest: PlanManifest | NetworkManifest) -> str:
    """Return a description of the plan, one fact per line."""
    proof, target = manifest.precision_proof, manifest.target
    if isinstance(manifest, PlanManifest):
        profile, precision = manifest.profile, manifest.spec.precision
        shapes = [f"batches: {profile.min} to {profile.max}, best at {profile.opt}"]
    else:
        precision = manifest.network.precision
        shapes = [
            f"input {name}: {found.dtype} {shape_text(found.min)} to {shape_text(found.max)}, "
            f"best at {shape_text(found.opt)}"
            for name, found in manifest.network.inputs.items()
        ]
    total = sum(proof.convolutions.values())
    shares = ", ".join(f"{number} of {total} {name}" for name, number in proof.convolutions.items())
    gpu = "no GPU was needed" if target.gpu is None else f"{target.gpu}, driver {target.driver}"
    return "\n".join(
        [
            f"{out}: {manifest.plan_bytes / 1e6:.1f} MB, {manifest.flavor.display_name} {manifest.version} ({gpu})",
            f"runs on: compute capability {', '.join(target.compute_capabilities)}; os {target.os}, {target.machine}",
            *shapes,
            f"precision {precision}: convolutions {shares} (asked: {proof.source})",
            f"manifest: {manifest_path(out)}",
        ]
    )


def _with_groups(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with the numbers and shapes that make up a group of settings by their names in it."""
    given = dict(flags)
    if given["profile"]:
        given["profile"] = dict(zip(("min", "opt", "max"), given["profile"], strict=True))
    if given["input_shapes"]:
        given["input_shapes"] = {
            name: dict(zip(("min", "opt", "max"), shapes, strict=True)) for name, *shapes in given["input_shapes"]
        }
    return given


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """Yield a callback that draws one progress bar per phase; None if the console is not a terminal."""
    if not console.is_terminal:
        yield None
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield show
