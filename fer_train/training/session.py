"""Run a training for the command line: processes, progress, TensorBoard, and plots at the end."""

import contextlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_train.amp import resolve_device
from fer_train.checkpoint import load_release, load_state
from fer_train.config import TrainConfig
from fer_train.data.faces import Faces
from fer_train.distributed import World, job_name, local_device, torchrun_world, was_restarted
from fer_train.evaluation.evaluate import evaluate_split
from fer_train.files.durable import write_content
from fer_train.training.loop import fit
from fer_train.training.progress import TrainingProgress
from fer_train.training.run import Run

_log = logging.getLogger(__name__)


def train_one(config: TrainConfig, faces: Faces, out: Path, *, resume: bool = False, tensorboard: bool = True) -> Run:
    """Train one model with progress and logs; write OUT/history.png, history.json and plots/.

    `write_plots` plots the last epoch on the validation split, unless teachers judge the run.

    Under torchrun the processes share the work; a run goes on by itself when workers are restarted after a failure,
    and when nodes come or go.

    Raises:
        FerTrainError: see `fit`.
    """
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(world_of(config))
        resume = world.first_result(lambda: resume or _is_of_this_job(out / "last.pt"))
        if not world.is_first:
            return fit(config, faces, out, resume=resume, world=world)
        progress = stack.enter_context(TrainingProgress(config))
        on_step: list[Callable[..., None]] = [progress.on_step]
        on_epoch: list[Callable[..., None]] = [progress.on_epoch]
        if tensorboard:
            from fer_train.training.tensorboard import TensorBoardLog  # noqa: PLC0415 - not every process writes events

            log = stack.enter_context(TensorBoardLog(out / "tensorboard"))
            on_step.append(log.on_step)
            on_epoch.append(log.on_epoch)
        run = fit(
            config,
            faces,
            out,
            resume=resume,
            world=world,
            on_step=_each(on_step),
            on_epoch=_each(on_epoch),
        )
    from fer_train.evaluation.plots import plot_history  # noqa: PLC0415 - a run draws when it has ended

    plot_history(run.history, out / "history.png")
    write_json(out / "history.json", run.history)
    if not run.is_judged_by_teachers:  # else the data have no labels of the kind that the model predicts
        _plot_final(faces, out, run)
    return run


def _is_of_this_job(last: Path) -> bool:
    """Return whether an earlier round of this torchrun job wrote the state: the same --rdzv-id, or a restart."""
    if not last.exists():
        return False
    job = job_name()
    return was_restarted() or (job is not None and load_state(last, mmap=True).get("job") == job)


def _plot_final(faces: Faces, out: Path, run: Run) -> None:
    from fer_train.evaluation.plots import write_plots  # noqa: PLC0415 - as above

    model, spec = load_release(out / "final.safetensors")
    measured = evaluate_split(model.to(run.device), faces, run.config.validation_split, spec=spec, views=("plain",))
    write_plots(measured, out / "plots", model=f"{run.config.model}, last epoch")


def world_of(config: TrainConfig) -> contextlib.AbstractContextManager[World]:
    """Return the context that joins the processes of the config's runs; see `torchrun_world`."""
    return torchrun_world(resolve_device(local_device(config.device)))


def write_json(path: Path, content: Any) -> None:
    """Write plain values as JSON, atomically."""
    write_content(path, json.dumps(content, indent=2) + "\n")


def _each(calls: list[Callable[..., None]]) -> Callable[..., None]:
    def call_all(*args: Any) -> None:
        for call in calls:
            call(*args)

    return call_all
