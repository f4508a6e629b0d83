"""fit: train one model to the end of its schedule, one checkpoint an epoch, resumable to the same weights."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fer_train.amp import MixedPrecision, resolve_device, resolve_precision
from fer_train.checkpoint import load_release, load_state, save_release, save_state, write_atomically
from fer_train.config import TrainConfig
from fer_train.data.faces import Faces
from fer_train.data.loader import EpochBatches, epoch_seed
from fer_train.data.splits import take_split
from fer_train.ema import averaged_model
from fer_train.errors import CheckpointError, ConfigError, DivergenceError
from fer_train.evaluate import evaluate
from fer_train.models import build_model
from fer_train.schedule import Schedule, build_optimizer
from fer_train.spec import describe_model

STEPS_PER_CHECK = 20
"""Steps between two looks at the loss: each look waits for the device."""

_log = logging.getLogger(__name__)
OnStep = Callable[[int, int, float], None]
"""Called as (step, num_steps, mean loss of the epoch) every `STEPS_PER_CHECK` steps; steps count the whole run."""
OnEpoch = Callable[[dict[str, Any]], None]
"""Called with each finished epoch's row of the history."""


def _ignore(*_: object) -> None:
    return None


@dataclass
class Run:
    """The moving parts of a training run; everything here that changes is in `state_dict`."""

    config: TrainConfig
    device: torch.device
    model: nn.Module
    ema: AveragedModel | None
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    amp: MixedPrecision
    ancestor: dict[str, Any] | None = None
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def judged(self) -> nn.Module:
        """The weights that are validated and released: the average where there is one."""
        return self.model if self.ema is None else self.ema.module

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a later process needs to go on as if it had never stopped."""
        return {
            "config": self.config.model_dump(mode="json"),
            "epoch": self.epoch,
            "history": self.history,
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.amp.state_dict(),
            "precision": self.amp.precision,
            "ancestor": self.ancestor,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave, into a run of the same config."""
        self.epoch, self.history, self.ancestor = state["epoch"], state["history"], state["ancestor"]
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.amp.load_state_dict(state["scaler"])


def build_run(config: TrainConfig, steps_per_epoch: int, *, resume: bool = False) -> Run:
    """Return a run at epoch 0, with weights of `config.init` or drawn from the seed; `resume` brings its own."""
    device = resolve_device(config.device)
    torch.manual_seed(config.seed)
    model = build_model(config.model, num_classes=config.num_classes, dropout=config.dropout).to(device)
    ancestor = None
    if config.init is not None and not resume:
        ancestor = _load_init(model, config.init)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    ema = averaged_model(model, config.ema_decay) if config.ema_decay else None
    optimizer = build_optimizer(config, model)
    schedule = Schedule(config, optimizer, steps_per_epoch)
    amp = MixedPrecision(resolve_precision(config.precision, device), device, config.max_grad_norm)
    return Run(config, device, model, ema, optimizer, schedule, amp, ancestor)


def _load_init(model: nn.Module, path: str) -> dict[str, Any]:
    """Copy a release's weights into the model and return its provenance."""
    weights, spec = load_release(Path(path))
    try:
        model.load_state_dict(weights.state_dict())
    except RuntimeError as err:
        raise ConfigError(f"init {path} is of another model or number of classes than this config") from err
    provenance: dict[str, Any] = spec["provenance"]
    return provenance


def fit(config: TrainConfig, faces: Faces, out: Path, *, resume: bool = False,
        on_step: OnStep = _ignore, on_epoch: OnEpoch = _ignore) -> Run:  # fmt: skip
    """Train to the end of the schedule.

    Args:
        config: the whole run.
        faces: training and validation rows, after the protocol was applied.
        out: folder for `last.pt` (resume), `best.safetensors` (best validation accuracy) and `config.yaml`.
        resume: go on from `out/last.pt`. An epoch that was cut short is run again from its start.
        on_step: progress; see `OnStep`.
        on_epoch: progress; see `OnEpoch`.

    Raises:
        ConfigError: the labels do not fit `num_classes`, or the training split is smaller than one batch.
        SplitAbsentError: the data lack the training or the validation split.
        CheckpointError: nothing to resume, a state of another config, an occupied `out`, or a full disk.
        DivergenceError: the loss is not finite; `last.pt` still holds the last good epoch.
    """
    train, validation = take_split(faces, config.train_split), take_split(faces, config.validation_split)
    _check_fit(config, train, validation)
    validation = validation.resized(config.image_size)
    last = out / "last.pt"
    if not resume and last.exists():
        raise CheckpointError(f"{last} exists. Fix: --resume to go on with that run, or another --out")
    run = build_run(config, len(train) // config.batch_size, resume=resume)
    digest = faces.digest()
    if resume:
        _restore(run, last, digest)
    for leftover in out.glob(".*.tmp"):  # of a process that was killed while it wrote
        leftover.unlink()
    batches = EpochBatches(train, config, run.device)
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_atomically(out / "config.yaml", lambda temporary: _write_text(temporary, settings))
    while run.epoch < config.num_epochs:
        started = time.monotonic()
        row = _train_one_epoch(run, batches, on_step) | _validate(run, validation)
        row["seconds"] = round(time.monotonic() - started, 1)
        _check_weights(run, row["loss"])
        run.schedule.after_epoch(row["accuracy"])
        is_best = row["accuracy"] > max((r["accuracy"] for r in run.history), default=-1.0)
        run.history.append(row)
        run.epoch += 1
        if is_best:
            # Before last.pt: after a kill between the two the epoch is run again and writes the same file.
            save_release(out / "best.safetensors", run.judged, describe_model(config, faces, row, run.ancestor))
        save_state(last, run.state_dict() | {"data": digest})
        on_epoch(row)
    return run


def _check_fit(config: TrainConfig, train: Faces, validation: Faces) -> None:
    highest = max(int(train.labels.max()), int(validation.labels.max()))
    if highest >= config.num_classes:
        raise ConfigError(f"num_classes is {config.num_classes} but the data hold label {highest}")
    if len(train) < config.batch_size:
        raise ConfigError(f"batch_size is {config.batch_size} but {config.train_split} has {len(train)} faces")


def _restore(run: Run, last: Path, digest: str) -> None:
    state = load_state(last)
    if state["data"] != digest:
        raise CheckpointError(
            f"{last} belongs to a run on other data: other faces or splits, or other rows left out. "
            "Fix: the same --data, --twin-rows and protocol as then"
        )
    then, now = state["config"], run.config.model_dump(mode="json")
    changed = [k for k in now if then.get(k) != now[k] and k != "device"]
    if changed:
        differences = ", ".join(f"{k} was {then.get(k)!r} and is {now[k]!r}" for k in changed)
        raise CheckpointError(
            f"{last} belongs to a run of another config: {differences}. Fix: use that run's config.yaml"
        )
    if state["precision"] != run.amp.precision:
        raise CheckpointError(
            f"{last} was trained in {state['precision']}, this device would go on in {run.amp.precision}. "
            f"Fix: train anew with precision: {state['precision']} or on the same kind of device"
        )
    run.load_state_dict(state)
    _log.info("resuming %s after epoch %d of %d", last, run.epoch, run.config.num_epochs)


def _train_one_epoch(run: Run, batches: EpochBatches, on_step: OnStep) -> dict[str, Any]:
    """Run one epoch and return its row of the history, without the validation part."""
    torch.manual_seed(epoch_seed(run.config.seed, run.epoch))  # dropout; makes a resumed epoch the same
    run.model.train()
    loss_sum = torch.zeros((), device=run.device)
    num_correct = torch.zeros((), dtype=torch.int64, device=run.device)
    for step, (images, labels) in enumerate(batches.epoch(run.epoch), start=1):
        with run.amp.autocast():
            logits = run.model(images)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=run.config.label_smoothing)
        run.amp.step(loss, run.model, run.optimizer)
        if run.ema is not None:
            run.ema.update_parameters(run.model)
        run.schedule.after_step()
        loss_sum += loss.detach()
        num_correct += (logits.detach().argmax(1) == labels).sum()
        if step % STEPS_PER_CHECK == 0 or step == len(batches):
            _check_finite(run, loss_sum, step)
            on_step(run.epoch * len(batches) + step, run.config.num_epochs * len(batches), float(loss_sum) / step)
    return {
        "epoch": run.epoch,
        "learning_rate": float(run.optimizer.param_groups[0]["lr"]),
        "train_loss": float(loss_sum) / len(batches),
        "train_accuracy": int(num_correct) / (len(batches) * run.config.batch_size),
    }


def _check_finite(run: Run, loss_sum: Tensor, step: int) -> None:
    if not math.isfinite(float(loss_sum)):
        raise _divergence(run, f"the loss became {float(loss_sum)} in epoch {run.epoch + 1}, by step {step}")


def _check_weights(run: Run, validation_loss: float) -> None:
    """Look behind the losses of the steps: the last step of an epoch may break the weights when its loss is known."""
    weights = [p for model in (run.model, run.judged) for p in model.parameters()]
    if not math.isfinite(validation_loss) or not all(bool(torch.isfinite(p).all()) for p in weights):
        raise _divergence(run, f"weights or validation loss were not finite at the end of epoch {run.epoch + 1}")


def _divergence(run: Run, what: str) -> DivergenceError:
    kept = f"The checkpoint of epoch {run.epoch} is kept" if run.epoch else "No checkpoint was written yet"
    return DivergenceError(f"{what}. {kept}. Fix: start again with a lower learning_rate, or set max_grad_norm: 1.0")


def _validate(run: Run, validation: Faces) -> dict[str, Any]:
    dtype = torch.bfloat16 if run.amp.precision == "bf16" else torch.float32
    metrics = evaluate(run.judged, validation, device=run.device, dtype=dtype)
    return {
        "loss": metrics.loss, "accuracy": metrics.accuracy, "f1": metrics.f1,
        "precision": metrics.precision, "recall": metrics.recall,
    }  # fmt: skip


def _write_text(path: Path, text: str) -> None:
    path.write_text(text)
