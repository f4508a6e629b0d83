"""Build the optimizer and the learning-rate schedule: per step, or per epoch by the validation accuracy."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.lr_scheduler import ReduceLROnPlateau as TorchPlateau

from fer_train.config import Cosine, OneCycle, TrainConfig
from fer_train.training.muon import Muon

_NEVER_DECAYED = ("class_token", "pos_embedding")
"""Parameters of the ViT that are not matrices, in spite of their shapes."""


class Schedule:
    """Learning-rate schedule. Call `after_step` and `after_epoch`; each scheduler uses one of them."""

    def __init__(self, config: TrainConfig, optimizer: Optimizer, steps_per_epoch: int) -> None:
        self._per_step: LRScheduler | None = None
        self._per_epoch: TorchPlateau | None = None
        if isinstance(config.scheduler, OneCycle):
            total_steps = steps_per_epoch * config.num_epochs
            warmup = config.scheduler.warmup_fraction
            if abs(warmup * total_steps - 1) < 1e-9:
                warmup *= 1 + 1e-6  # torch divides by the length of the warm-up minus one step
            self._per_step = OneCycleLR(
                optimizer,
                max_lr=[group["lr"] for group in optimizer.param_groups],  # Muon has its own rate
                total_steps=total_steps,
                pct_start=warmup,
                cycle_momentum=False,
            )
        elif isinstance(config.scheduler, Cosine):
            self._per_step = _cosine(config.scheduler, config, optimizer, steps_per_epoch)
        else:
            plateau = config.scheduler
            self._per_epoch = TorchPlateau(
                optimizer, mode="max", factor=plateau.factor, patience=plateau.patience, min_lr=plateau.min_lr
            )

    def after_step(self) -> None:
        """Advance a per-step schedule."""
        if self._per_step is not None:
            self._per_step.step()

    def after_epoch(self, accuracy: float) -> None:
        """Pass the validation accuracy, 0 to 1, to a plateau schedule."""
        if self._per_epoch is not None:
            self._per_epoch.step(accuracy)

    def state_dict(self) -> dict[str, object]:
        """Return the state of the scheduler in use."""
        return dict((self._per_step or self._require_plateau()).state_dict())

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore the state that `state_dict` returned."""
        (self._per_step or self._require_plateau()).load_state_dict(state)

    def _require_plateau(self) -> TorchPlateau:
        assert self._per_epoch is not None
        return self._per_epoch


def _cosine(scheduler: Cosine, config: TrainConfig, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR:
    warmup = scheduler.warmup_epochs * steps_per_epoch
    decay = max(config.num_epochs * steps_per_epoch - warmup, 1)
    floor = scheduler.min_lr / config.learning_rate

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return floor + (1 - floor) * (1 + math.cos(math.pi * min((step - warmup) / decay, 1))) / 2

    return LambdaLR(optimizer, factor)


def build_optimizer(config: TrainConfig, model: nn.Module, precision: str = "fp32") -> Optimizer:
    """Return the config's optimizer, with weight decay on matrices and kernels only.

    Args:
        config: name and settings of the optimizer.
        model: model to optimize.
        precision: precision of the run; in bf16 and fp16 Muon multiplies its matrices in bfloat16, as its authors do.
    """
    named = dict(model.named_parameters())
    decayed = {name for name, p in named.items() if p.ndim > 1 and not name.endswith(_NEVER_DECAYED)}
    filters = decayed - _classifier(model) if config.optimizer == "Muon" else set()
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in named.items() if n in decayed - filters], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named.items() if n not in decayed], "weight_decay": 0.0},
    ]
    if config.optimizer == "AdamW":
        return AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.999), fused=True)
    nesterov = config.momentum > 0
    if config.optimizer == "SGD":
        return SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=nesterov, fused=True)
    groups = [group | {"momentum": config.momentum, "nesterov": nesterov} for group in groups]
    muon = config.muon
    groups.append(
        {
            "params": [p for n, p in named.items() if n in filters],
            "lr": muon.learning_rate,
            "weight_decay": muon.weight_decay,
            "muon_momentum": muon.momentum,
        }
    )
    return Muon(groups, lr=config.learning_rate, dtype=torch.float32 if precision == "fp32" else torch.bfloat16)


def _classifier(model: nn.Module) -> set[str]:
    """Return the name of the weight of the last linear layer, whose rows are emotions, not features."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return {f"{linear[-1]}.weight"} if linear else set()
