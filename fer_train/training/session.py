"""Run a training for the command line: processes, progress, TensorBoard, and plots at the end."""

import contextlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fer_train.amp import resolve_device
from fer_train.checkpoint import load_release
from fer_train.config import TrainConfig
from fer_train.data.faces import Faces
from fer_train.distributed import World, local_device, torchrun_world, was_restarted
from fer_train.evaluation.evaluate import evaluate_split
from fer_train.evaluation.plots import plot_history, write_plots
from fer_train.files.durable import write_content
from fer_train.training.loop import fit
from fer_train.training.progress import TrainingProgress
from fer_train.training.run import Run
from fer_train.training.tensorboard import TensorBoardLog

_log = logging.getLogger(__name__)


def train_one(config: TrainConfig, faces: Faces, out: Path, *, resume: bool = False, tensorboard: bool = True) -> Run:
    """Train one model with progress and logs; write OUT/history.png, history.json and plots/.

    `write_plots` plots the last epoch on the validation split.

    Under torchrun the processes share the work; a run that was restarted after a failure resumes automatically.

    Raises:
        FerTrainError: see `fit`.
    """
    resume = resume or (was_restarted() and (out / "last.pt").exists())
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(world_of(config))
        if not world.is_first:
            return fit(config, faces, out, resume=resume, world=world)
        progress = stack.enter_context(TrainingProgress(config))
        listeners: list[TrainingProgress | TensorBoardLog] = [progress]
        if tensorboard:
            listeners.append(stack.enter_context(TensorBoardLog(out / "tensorboard")))
        run = fit(
            config,
            faces,
            out,
            resume=resume,
            world=world,
            on_step=_each([listener.on_step for listener in listeners]),
            on_epoch=_each([listener.on_epoch for listener in listeners]),
        )
    plot_history(run.history, out / "history.png")
    write_json(out / "history.json", run.history)
    _plot_final(faces, out, run)
    return run


def _plot_final(faces: Faces, out: Path, run: Run) -> None:
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
