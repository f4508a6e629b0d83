"""Mixed precision: the only code that casts, scales, unscales, clips and steps."""

import functools
import statistics
import time
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from fer_train.config import device_fault
from fer_train.errors import ConfigError

_NUM_ROUNDS = 7
_MEASURED_FACES = 16
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def resolve_device(name: str) -> torch.device:
    """Return the device that "auto", "cpu", "cuda" or "cuda:N" means here.

    Raises:
        ConfigError: the name is unknown, or CUDA was requested and is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if fault := device_fault(name):
        raise ConfigError(fault)
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {name} but this machine has no usable CUDA device. Fix: --device cpu or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device is {name} but this machine has {torch.cuda.device_count()} CUDA devices, counted from 0. "
            "Fix: --device cuda"
        )
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Return the precision that "auto" means on this device.

    CUDA: bf16 where it is native, else fp16. CPU: the faster of bf16 and fp32, measured. On CPUs with
    bf16 instructions but without AMX, the result depends on the vendor.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return "fp32"
    return "bf16" if bf16_speedup() > 1 else "fp32"


@functools.cache
def bf16_speedup() -> float:
    """Return how many times faster bf16 is than fp32 on this CPU: the median over alternating rounds.

    Measured in processor time on one thread, because on a loaded machine several threads mostly wait for each other.
    The clock frequency may change between rounds, but hardly within one.
    """
    with torch.random.fork_rng(devices=[]):  # a measurement must not change the random numbers of the run
        network = _typical_layers().to(memory_format=torch.channels_last)
        images = torch.randn(_MEASURED_FACES, 64, 24, 24).contiguous(memory_format=torch.channels_last)
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for dtype in (torch.bfloat16, torch.float32):  # the first steps compile their kernels
            _step_seconds(network, images, dtype)
        rounds = [
            _step_seconds(network, images, torch.float32) / _step_seconds(network, images, torch.bfloat16)
            for _ in range(_NUM_ROUNDS)
        ]
    finally:
        torch.set_num_threads(num_threads)
    return statistics.median(rounds)


def _typical_layers() -> nn.Module:
    """Return the most frequent layers of SENet and Net: 3x3 convolutions of 64 to 256 channels, with batch norm."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _step_seconds(network: nn.Module, images: Tensor, dtype: torch.dtype) -> float:
    """Return the processor time in seconds of one forward and backward pass; other processes do not count."""
    started = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = network(images).float().square().mean()
    loss.backward()
    return time.process_time() - started


class MixedPrecision:
    """Autocast for the forward pass and, with fp16, a gradient scaler for the backward pass."""

    def __init__(self, precision: str, device: torch.device, max_grad_norm: float | None = None) -> None:
        """Set the precision: "fp32", "bf16" or "fp16".

        Raises:
            ConfigError: fp16 without CUDA.
        """
        if precision == "fp16" and device.type != "cuda":
            raise ConfigError("precision fp16 needs CUDA; on the CPU use bf16 or fp32. Fix: precision: auto")
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
        """Run backward, unscale, clip and step; with fp16 the scaler skips a step whose gradients overflowed."""
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
        """Restore the state that `state_dict` returned."""
        if state:
            self._scaler.load_state_dict(state)
