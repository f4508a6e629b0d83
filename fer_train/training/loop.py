"""Train one model to the end of its schedule, with one checkpoint per epoch, resumable to the same weights."""

import contextlib
import copy
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from fer_train.checkpoint import save_release, save_state
from fer_train.config import TrainConfig
from fer_train.data.faces import LABEL_SETS, Faces
from fer_train.data.loader import Batch, EpochBatches, epoch_seed
from fer_train.data.splits import take_split
from fer_train.distributed import ALONE, World, job_name
from fer_train.errors import ConfigError, DivergenceError, OutOfMemoryError, is_out_of_memory
from fer_train.evaluation.evaluate import evaluate
from fer_train.files.durable import require_space, write_content
from fer_train.hardware import describe_hardware
from fer_train.privacy.portable_paths import shown_path
from fer_train.spec import Kept, describe_model
from fer_train.training.compiling import compile_errors
from fer_train.training.folder_lock import only_run_in
from fer_train.training.loss import training_loss
from fer_train.training.qat import activation_ranges, strip_qat
from fer_train.training.run import Run, build_run, read_state_of_first

_log = logging.getLogger(__name__)

STEPS_PER_CHECK = 20
"""Steps between two reads of the loss; each read waits for the device."""

_KEPT_FILES = ("best.safetensors", "final.safetensors", "last.pt")
"""Files of a run whose size counts."""

OnStep = Callable[[int, int, float], None]
"""Function called with (step, num_steps, mean loss of the epoch) every `STEPS_PER_CHECK` steps of the run."""
OnEpoch = Callable[[dict[str, Any]], None]
"""Function called with the history row of each finished epoch."""


def _ignore(*_: object) -> None:
    return None


def fit(
    config: TrainConfig,
    faces: Faces,
    out: Path,
    *,
    resume: bool = False,
    world: World = ALONE,
    on_step: OnStep = _ignore,
    on_epoch: OnEpoch = _ignore,
) -> Run:
    """Train to the end of the schedule.

    Args:
        config: settings of the run.
        faces: training and validation rows, after the protocol was applied.
        out: folder for `last.pt` (resume), `best.safetensors` (best validation accuracy), `final.safetensors` (last
            epoch) and `config.yaml`. A run that `TrainConfig.is_judged_by_teachers` is validated on their answers.
        resume: continue from `out/last.pt`. An incomplete epoch runs again from its start.
        world: processes of a data-parallel run. The first one reads and writes `out`, and validates.
        on_step: progress; see `OnStep`.
        on_epoch: progress; see `OnEpoch`.

    Raises:
        ConfigError: the labels do not fit `num_classes`, the training split is smaller than one batch, or processes
            have other settings or faces.
        SplitAbsentError: the data lack the training or the validation split.
        CheckpointError: there is nothing to resume, the state is of another config, `out` contains a run, another
            process writes into it, another node has a newer state, or the disk has no room for the run's files.
        DivergenceError: the loss is not finite; `last.pt` still has the last good epoch.
        OutOfMemoryError: the batch does not fit into memory; `last.pt` as above.
    """
    train, validation = take_split(faces, config.train_split), take_split(faces, config.validation_split)
    _check_fit(config, train, validation)
    validation = validation.resized(config.image_size)
    digest = faces.digest()
    world.require_same({"faces": digest[:12], **config.model_dump(mode="json", exclude={"device"})})
    state = read_state_of_first(out / "last.pt", config, digest, world=world, resume=resume)
    with _memory_errors(config), contextlib.ExitStack() as held:
        if config.compile:
            held.enter_context(compile_errors())
        run = build_run(config, len(train) // config.batch_size, world=world, state=state, train=train)
        if world.is_first:
            held.enter_context(only_run_in(out))
        world.first_result(lambda: _prepare_folder(out, run))
        if world.is_first:
            validation = _judged(run, validation)
        batches = EpochBatches(train, config, run.device, teacher=_cached_probs(run, train, out), world=world)
        num_before = run.epoch
        while run.epoch < config.num_epochs:
            started = time.monotonic()
            row = _train_one_epoch(run, batches, on_step)
            row |= world.from_first(_validate(run, validation) if world.is_first else None)
            row["seconds"] = round(time.monotonic() - started, 1)
            _finish_epoch(run, faces, row, out, digest)
            on_epoch(row)
        final = out / "final.safetensors"
        if world.is_first and (run.epoch > num_before or not final.exists()):  # missing after a kill before this line
            save_run_release(final, run, faces, run.history[-1], kept="final")
    return run


def _finish_epoch(run: Run, faces: Faces, row: dict[str, Any], out: Path, digest: str) -> None:
    _check_weights(run, row["loss"])
    run.schedule.after_epoch(row["accuracy"])
    is_best = row["accuracy"] > max((r["accuracy"] for r in run.history), default=-1.0)
    run.history.append(row)
    run.epoch += 1
    if not run.world.is_first:
        return
    if is_best:
        # Before last.pt: after a kill between the two writes, the epoch runs again and writes the same file.
        save_run_release(out / "best.safetensors", run, faces, row, kept="best")
    save_state(out / "last.pt", run.state_dict() | {"data": digest, "job": job_name()})


def save_run_release(path: Path, run: Run, faces: Faces, metrics: dict[str, Any], *, kept: Kept) -> None:
    """Write the weights `run.released` as an fp32 release; `faces` are those of `fit`, for the provenance."""
    model, ranges = run.released, None
    if run.config.quantization_aware:
        ranges = activation_ranges(model)
        model = strip_qat(copy.deepcopy(model))
    spec = describe_model(
        run.config,
        faces,
        metrics,
        ancestor=run.ancestor,
        quantization=ranges,
        hardware=describe_hardware(run.device),
        teachers=None if run.teachers is None else run.teachers.provenance(),
        kept=kept,
        precision=run.amp.precision,
        num_processes=run.world.size,
    )
    save_release(path, model, spec)


def _check_fit(config: TrainConfig, train: Faces, validation: Faces) -> None:
    highest = max(int(train.labels.max()), int(validation.labels.max()))
    names = LABEL_SETS[config.labels]
    if config.num_classes > max(len(names), highest + 1):
        more = "; FER+'s labels have 8: labels: ferplus, with --ferplus" if config.labels == "fer2013" else ""
        raise ConfigError(
            f"num_classes is {config.num_classes}, the data have {len(names)} classes ({', '.join(names)}): no face "
            f"has one of the others. Fix: num_classes: {len(names)}{more}"
        )
    if highest >= config.num_classes:
        raise ConfigError(
            f"num_classes is {config.num_classes} but the data have label {highest}. Fix: num_classes: {highest + 1}"
        )
    if len(train) < config.batch_size:
        raise ConfigError(
            f"batch_size is {config.batch_size} but {config.train_split} has {len(train)} faces. "
            "Fix: a smaller batch_size, or leave out fewer rows"
        )


def _prepare_folder(out: Path, run: Run) -> None:
    for leftover in out.glob(".*.tmp"):  # from a process that was killed while writing
        leftover.unlink()
    if run.epoch < run.config.num_epochs:
        _require_space(out, run)
    settings = yaml.safe_dump(_with_short_paths(run.config), sort_keys=False)
    write_content(out / "config.yaml", settings)


def _require_space(out: Path, run: Run) -> None:
    """Two files of weights, one of the state, and the next state before it replaces that one."""
    at_most = 2 * run.num_bytes_of_weights + 2 * run.num_bytes_of_state
    there = sum(path.stat().st_size for path in map(out.joinpath, _KEPT_FILES) if path.exists())
    require_space(out, max(at_most - there, 0))


def _with_short_paths(config: TrainConfig) -> dict[str, Any]:
    """Return the config with paths below the current folder relative to it; other paths unchanged."""
    content: dict[str, Any] = config.model_dump(mode="json")

    def from_here(path: str) -> str:
        shown = shown_path(path)
        return shown if Path(shown).exists() else path

    for key in ("init", "pretrained"):
        content[key] = content[key] and from_here(content[key])
    if config.distillation is not None:
        content["distillation"]["teachers"] = [from_here(path) for path in config.distillation.teachers]
    return content


def _judged(run: Run, validation: Faces) -> Faces:
    """Return the faces with the labels that validation is against."""
    if run.teachers is None or not run.is_judged_by_teachers:
        return validation
    _log.info("no FER+ votes: accuracy, F1 and the best epoch are measured against the teachers' first choices")
    return run.teachers.labelled(validation, run.config.labels)


def _cached_probs(run: Run, train: Faces, out: Path) -> Tensor | None:
    wanted = run.config.distillation
    teachers = run.teachers
    if teachers is None or wanted is None or not wanted.cached:
        return None
    probs = run.world.first_result(lambda: teachers.cached_probs(train, out / "teachers.safetensors").cpu())
    return probs.to(run.device)


@contextlib.contextmanager
def _memory_errors(config: TrainConfig) -> Iterator[None]:
    """Turn the exceptions of PyTorch for exhausted memory into one error with its Fix."""
    try:
        yield
    except (MemoryError, RuntimeError) as err:
        if not is_out_of_memory(err):
            raise
        raise OutOfMemoryError(
            f"out of memory with batch_size {config.batch_size}: {(str(err).splitlines() or [repr(err)])[0]}. "
            "Finished epochs are kept. Fix: a smaller batch_size, in a new --out"
        ) from err


def _train_one_epoch(run: Run, batches: EpochBatches, on_step: OnStep) -> dict[str, Any]:
    """Run one epoch and return its row of the history, without the validation part."""
    # Seed of dropout: a resumed epoch draws the same masks, another process draws others.
    torch.manual_seed(run.world.own_seed(epoch_seed(run.config.seed, run.epoch)))
    run.model.train()
    loss_sum = torch.zeros((), device=run.device)
    num_correct = torch.zeros((), dtype=torch.int64, device=run.device)
    for step, batch in enumerate(batches.epoch(run.epoch), start=1):
        loss, correct = train_step(run, batch)
        loss_sum += loss
        num_correct += correct
        if step % STEPS_PER_CHECK == 0 or step == len(batches):
            mean_loss = float(run.world.sum(loss_sum)) / run.world.size / step
            _check_finite(run, mean_loss, step)
            on_step(run.epoch * len(batches) + step, run.config.num_epochs * len(batches), mean_loss)
    return {
        "epoch": run.epoch,
        "learning_rate": float(run.optimizer.param_groups[0]["lr"]),
        "train_loss": mean_loss,
        "train_accuracy": int(run.world.sum(num_correct)) / (len(batches) * run.config.batch_size),
    }


def train_step(run: Run, batch: Batch) -> tuple[Tensor, Tensor]:
    """Run one step; return its loss and number of right predictions, on the device, without waiting for it."""
    teacher = batch.teacher
    with run.amp.autocast():
        if run.teachers is not None and teacher is None:
            teacher = run.teachers(batch.images)
        logits = run.forward(batch.images)
        loss = training_loss(logits.float(), batch.targets, teacher, run.config.distillation)
    run.amp.step(loss, run.model, run.optimizer)
    if run.ema is not None:
        run.ema.update_parameters(run.model)
    run.schedule.after_step()
    labels = teacher.argmax(1) if teacher is not None and run.is_judged_by_teachers else batch.labels
    return loss.detach(), (logits.detach().argmax(1) == labels).sum()


def _check_finite(run: Run, mean_loss: float, step: int) -> None:
    if not math.isfinite(mean_loss):
        raise _divergence(run, f"the loss became {mean_loss} in epoch {run.epoch + 1}, by step {step}")


def _check_weights(run: Run, validation_loss: float) -> None:
    """Check the weights after an epoch: its last step may break them after its own loss was computed."""
    weights = [p for model in (run.model, run.released) for p in model.parameters()]
    if not math.isfinite(validation_loss) or not all(bool(torch.isfinite(p).all()) for p in weights):
        raise _divergence(run, f"weights or validation loss were not finite at the end of epoch {run.epoch + 1}")


def _divergence(run: Run, what: str) -> DivergenceError:
    kept = f"The checkpoint of epoch {run.epoch} is kept" if run.epoch else "No checkpoint was written yet"
    return DivergenceError(f"{what}. {kept}. Fix: start again with a lower learning_rate, or set max_grad_norm: 1.0")


def _validate(run: Run, validation: Faces) -> dict[str, Any]:
    dtype = torch.bfloat16 if run.amp.precision == "bf16" else torch.float32
    metrics = evaluate(run.released, validation, device=run.device, dtype=dtype)
    return {
        "loss": metrics.loss,
        "accuracy": metrics.accuracy,
        "f1": metrics.f1,
        "precision": metrics.precision,
        "recall": metrics.recall,
    }
