"""The optimizer, and learning-rate schedules behind one face: per step, or per epoch on the validation accuracy."""

import math

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.lr_scheduler import ReduceLROnPlateau as TorchPlateau

from fer_train.config import Cosine, OneCycle, TrainConfig

_NEVER_DECAYED = ("class_token", "pos_embedding")
"""Of the ViT: neither is a matrix that multiplies anything, whatever its shape."""


class Schedule:
    """Sets the optimizer's rate. Call `after_step` and `after_epoch`; each scheduler heeds one of them."""

    def __init__(self, config: TrainConfig, optimizer: Optimizer, steps_per_epoch: int) -> None:
        self._per_step: LRScheduler | None = None
        self._per_epoch: TorchPlateau | None = None
        if isinstance(config.scheduler, OneCycle):
            total_steps = steps_per_epoch * config.num_epochs
            warmup = config.scheduler.warmup_fraction
            if abs(warmup * total_steps - 1) < 1e-9:
                warmup *= 1 + 1e-6  # torch divides by the warm-up's length minus one step
            self._per_step = OneCycleLR(
                optimizer,
                max_lr=config.learning_rate,
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
        """Show a plateau schedule the validation accuracy, 0 to 1."""
        if self._per_epoch is not None:
            self._per_epoch.step(accuracy)

    def state_dict(self) -> dict[str, object]:
        """Return the state of the scheduler in use."""
        return dict((self._per_step or self._require_plateau()).state_dict())

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore what `state_dict` gave."""
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


def build_optimizer(config: TrainConfig, model: nn.Module) -> Optimizer:
    """Return the config's optimizer, fused; weight decay on matrices and kernels only."""
    decayed = {name: p.ndim > 1 and not name.endswith(_NEVER_DECAYED) for name, p in model.named_parameters()}
    groups = [
        {"params": [p for name, p in model.named_parameters() if decayed[name]], "weight_decay": config.weight_decay},
        {"params": [p for name, p in model.named_parameters() if not decayed[name]], "weight_decay": 0.0},
    ]
    if config.optimizer == "AdamW":
        return AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.999), fused=True)
    return SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)
