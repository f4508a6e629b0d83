"""Build the mutable state of a training run from a config, or restore it from a checkpoint."""

import logging
import math
import socket
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fer_train.amp import MixedPrecision, resolve_device, resolve_precision
from fer_train.checkpoint import load_release, load_state
from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data.augment import normalize
from fer_train.data.faces import Faces, labels_for
from fer_train.data.label_columns import load_aligned, require_shared
from fer_train.distributed import ALONE, World, local_device
from fer_train.errors import CheckpointError, ConfigError
from fer_train.models import build_model
from fer_train.training.ema import WarmAverage
from fer_train.training.qat import prepare_qat
from fer_train.training.schedule import Schedule, build_optimizer
from fer_train.training.teachers import Teachers

_log = logging.getLogger(__name__)

_FACES_FOR_STATISTICS = 2048
"""Number of faces on which pretrained weights without statistics of batch norm get them."""


@dataclass
class Run:
    """State of a training run; `state_dict` contains everything that changes.

    Attributes:
        config: settings of the run.
        device: device of the model.
        world: processes of the run.
        model: the weights, with the names of a release.
        forward: module that a step calls: `model`, possibly compiled or data-parallel.
        ema: average of the weights, or None.
        optimizer: optimizer of `model`.
        schedule: learning-rate schedule.
        amp: precision of the steps.
        teachers: teachers of the student, or None.
        is_judged_by_teachers: whether their first choices are what is right; see `TrainConfig`.
        ancestor: provenance of the release that the weights started from, or None.
        epoch: number of finished epochs.
        history: one row per finished epoch.
    """

    config: TrainConfig
    device: torch.device
    world: World
    model: nn.Module
    forward: nn.Module
    ema: WarmAverage | None
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    amp: MixedPrecision
    teachers: Teachers | None = None
    ancestor: dict[str, Any] | None = None
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    is_judged_by_teachers: bool = False

    @property
    def released(self) -> nn.Module:
        """Return the model that is validated and released: the average if there is one."""
        return self.model if self.ema is None else self.ema.module

    @property
    def num_bytes_of_weights(self) -> int:
        """Return the size of `model` as it is saved, in fp32 with its buffers."""
        return sum(value.nbytes for value in self.model.state_dict().values())

    @property
    def num_bytes_of_state(self) -> int:
        """Return the size of `state_dict` after the first step, nearly: weights, their average and the moments."""
        num_moments = 2 if isinstance(self.optimizer, torch.optim.AdamW) else 1
        return self.num_bytes_of_weights * (1 + (self.ema is not None) + num_moments)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that another process needs to continue the run exactly."""
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
        """Restore a state of `state_dict` into a run of the same config."""
        self.epoch, self.history, self.ancestor = state["epoch"], state["history"], state["ancestor"]
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.amp.load_state_dict(state["scaler"])


def build_run(
    config: TrainConfig,
    steps_per_epoch: int,
    *,
    world: World = ALONE,
    state: dict[str, Any] | None = None,
    train: Faces | None = None,
) -> Run:
    """Return a run restored from `state`, or one at epoch 0 with the weights of the config's init or its seed.

    Args:
        config: settings of the run.
        steps_per_epoch: steps of an epoch.
        world: processes of the run.
        state: what `read_state` returned, or None.
        train: training faces, on which pretrained weights without statistics of batch norm get them; their label set
            tells whether the teachers judge the run.

    Raises:
        ConfigError: a setting does not fit this machine or these weights.
        CheckpointError: a file of weights cannot be used.
    """
    device = resolve_device(local_device(config.device))
    if config.quantization_aware and world.size > 1:
        raise ConfigError(
            f"quantization_aware needs a single process, torchrun started {world.size}. Fix: without torchrun"
        )
    torch.manual_seed(config.seed)
    fresh = state is None
    model = build_model(
        config.model,
        num_classes=config.num_classes,
        dropout=config.dropout,
        pretrained=Path(config.pretrained) if fresh and config.pretrained else None,
        faces=None if train is None else partial(_some_normalized, train, config.image_size),
    )
    ancestor = _load_init(model, config) if fresh and config.init else None
    model = model.to(device)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if config.quantization_aware:
        prepare_qat(model)
    ema = WarmAverage(model, config.ema_decay) if config.ema_decay else None
    # From the first process: "auto" is measured, and processes might get different results.
    precision = world.from_first(resolve_precision(config.precision, device)) if state is None else state["precision"]
    optimizer = build_optimizer(config, model, precision)
    schedule = Schedule(config, optimizer, steps_per_epoch)
    amp = MixedPrecision(precision, device, config.max_grad_norm)
    stepped: Any = torch.compile(model) if config.compile else model
    forward = world.parallel(stepped, device)
    teachers = _teachers(config, device)
    if teachers is not None:
        teachers.warn_of_other_labels()
    run = Run(config, device, world, model, forward, ema, optimizer, schedule, amp, teachers, ancestor)
    run.is_judged_by_teachers = train is not None and config.is_judged_by_teachers(train.label_set)
    if state is not None:
        run.load_state_dict(state)
    return run


def require_weights(config: TrainConfig, *, fresh: bool = True) -> None:
    """Load the weights that a run needs and drop them, so that their faults are told before data are read.

    Args:
        config: settings of the run.
        fresh: False for a run that goes on, which needs its teachers alone.

    Raises:
        FerTrainError: as `build_run` for these files.
    """
    if fresh and (config.init or config.pretrained):
        pretrained = Path(config.pretrained) if config.pretrained else None
        model = build_model(config.model, num_classes=config.num_classes, pretrained=pretrained)
        if config.init:
            _load_init(model, config)
    _teachers(config, torch.device("cpu"))


def _some_normalized(train: Faces, image_size: int) -> Tensor:
    """Return faces from all parts of the training split, normalized, (N, 1, S, S)."""
    every = math.ceil(len(train) / _FACES_FOR_STATISTICS)
    chosen = train.select(np.arange(len(train)) % every == 0)
    return normalize(torch.from_numpy(chosen.resized(image_size).images))


def read_state_of_first(
    last: Path, config: TrainConfig, digest: str, *, world: World, resume: bool
) -> dict[str, Any] | None:
    """Return the state in the first process's `last`, which all processes start from; None for a new run.

    Raises:
        CheckpointError: see `read_state`; there is a run and `resume` is False; or another process's folder has more
            finished epochs, so that the nodes do not share it. Every process raises it.
    """

    def checked() -> dict[str, Any] | None:
        if resume:
            return read_state(last, config, digest)
        if last.exists():
            raise CheckpointError(f"{last} exists. Fix: --resume to continue that run, or another --out")
        return None

    if world.size > 1:
        _require_newest(last, world)
    return world.first_result(checked)


def _require_newest(last: Path, world: World) -> None:
    """Refuse a run whose newest state is on another node than that of the first process."""
    told = world.gathered((_num_finished(last), socket.gethostname()))
    finished, host = max(told, key=lambda one: one[0])
    if finished > told[0][0]:
        raise CheckpointError(
            f"the first process, on {told[0][1]}, has {told[0][0]} finished epochs in {last}, and another one, on "
            f"{host}, has {finished}: the nodes do not share that folder. Fix: --out in a folder that all nodes share; "
            f"or copy {last.parent} from {host} to {told[0][1]}"
        )


def _num_finished(last: Path) -> int:
    try:
        return int(load_state(last, mmap=True)["epoch"])
    except CheckpointError:  # absent; or damaged, which the first process reports if it is its own
        return 0


def read_state(last: Path, config: TrainConfig, digest: str) -> dict[str, Any]:
    """Return the state in `last` after checking that it belongs to this config and these faces.

    Raises:
        CheckpointError: the file is missing, damaged, or of another run.
    """
    state = load_state(last)
    if state["data"] != digest:
        raise CheckpointError(
            f"{last} belongs to a run on other data: other faces or splits, or other rows left out. "
            "Fix: the same --data, --twin-rows, --exclude and protocol as in that run"
        )
    then, now = _with_new_keys(state["config"]), config.model_dump(mode="json")
    changed = [k for k in now if then.get(k) != now[k] and k != "device"]
    if changed:
        differences = ", ".join(f"{k} was {then.get(k)!r} and is {now[k]!r}" for k in changed)
        raise CheckpointError(
            f"{last} belongs to a run of another config: {differences}. Fix: use that run's config.yaml"
        )
    device = resolve_device(local_device(config.device))
    if state["precision"] == "fp16" and device.type != "cuda":
        raise CheckpointError(f"{last} was trained in fp16, which {device} cannot continue. Fix: resume it on a GPU")
    _log.info("resuming %s after epoch %d of %d", last, state["epoch"], config.num_epochs)
    return state


def _with_new_keys(written: dict[str, Any]) -> dict[str, Any]:
    """Return an older version's config plus the keys added since, at their defaults, which change nothing."""
    try:
        return config_from_dict(written, where="last.pt").model_dump(mode="json")
    except ConfigError:  # a key was removed since; the comparison names it
        return written


def _load_init(model: nn.Module, config: TrainConfig) -> dict[str, Any]:
    """Copy a release's weights into the model, classes matched by label name, and return its provenance."""
    path = Path(config.init or "")
    weights, spec = load_release(path)
    names, wanted = spec["labels"], labels_for(config.num_classes, config.labels)
    require_shared(names, wanted, what=f"init {path}", fix="num_classes and labels as it has them, or leave init out")
    try:
        load_aligned(model, weights.state_dict(), names, wanted)
    except (RuntimeError, KeyError) as err:
        raise ConfigError(
            f"init {path} is of another model than this config: {spec['architecture']}, not {config.model}. "
            f"Fix: model: {spec['architecture']}, or leave init out"
        ) from err
    provenance: dict[str, Any] = spec["provenance"]
    return provenance


def _teachers(config: TrainConfig, device: torch.device) -> Teachers | None:
    wanted = config.distillation
    if wanted is None:
        return None
    labels = labels_for(config.num_classes, config.labels)
    return Teachers(wanted.teachers, labels=labels, temperature=wanted.temperature, device=device)
