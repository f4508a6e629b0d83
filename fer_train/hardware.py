"""Describe the machine, for every file that reports a measurement."""

import os
import platform
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")


def describe_hardware(device: torch.device) -> str:
    """Return the GPU's name, or the CPU's name and number of cores, and the version of PyTorch."""
    is_gpu = device.type == "cuda"
    num_cores = os.cpu_count() or 1
    cores = f"{num_cores} core{'s' if num_cores != 1 else ''}"
    name = torch.cuda.get_device_name(device) if is_gpu else f"{_cpu_name()}, {cores}"
    return f"{name}, torch {torch.__version__}"


def _cpu_name() -> str:
    """Return the model name from Linux, else what Python reports about the processor."""
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
