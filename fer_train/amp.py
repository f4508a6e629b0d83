"""MixedPrecision: the only place that casts, scales, unscales, clips and steps."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from fer_train.errors import ConfigError

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def resolve_device(name: str) -> torch.device:
    """Return the device that "auto", "cpu", "cuda" or "cuda:N" means here.

    Raises:
        ConfigError: another name, or CUDA was asked for and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device is {name} but this machine has no usable CUDA device. Fix: --device cpu or auto")
    try:
        return torch.device(name)
    except RuntimeError as err:
        raise ConfigError(f"unknown device {name!r}. Fix: --device auto, cpu, cuda or cuda:N") from err


def resolve_precision(name: str, device: torch.device) -> str:
    """Return the precision that "auto" means on this device: bf16 where it is native, else fp16 on CUDA, else fp32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"


class MixedPrecision:
    """Autocast for the forward pass and, with fp16, a gradient scaler for the backward pass."""

    def __init__(self, precision: str, device: torch.device, max_grad_norm: float | None = None) -> None:
        """Take "fp32", "bf16" or "fp16"; fp16 needs CUDA (ConfigError)."""
        if precision == "fp16" and device.type != "cuda":
            raise ConfigError("precision fp16 needs CUDA; on the CPU use bf16 or fp32")
        self.precision = precision
        self._device = device
        self._max_grad_norm = max_grad_norm
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context for the forward pass and the loss."""
        context: AbstractContextManager[None] = torch.autocast(
            self._device.type, _DTYPES[self.precision], enabled=self.precision != "fp32"
        )
        return context

    def step(self, loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Backward, unscale, clip, step; with fp16 a step whose gradients overflowed is skipped by the scaler."""
        optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._max_grad_norm is not None:
            self._scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), self._max_grad_norm)
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, object]:
        """Return the scaler's state (empty when it is off)."""
        return dict(self._scaler.state_dict())

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore what `state_dict` gave."""
        if state:
            self._scaler.load_state_dict(state)
