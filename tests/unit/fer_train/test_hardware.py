import os

import torch

from fer_train import hardware
from fer_train.hardware import describe_hardware


def test_cpu_is_named_with_cores_and_torch(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Fast CPU: 9000\nprocessor\t: 1\nmodel name\t: B\n")
    monkeypatch.setattr(hardware, "_CPU_INFO", tmp_path / "cpuinfo")
    expected = f"Fast CPU: 9000, {os.cpu_count()} cores, torch {torch.__version__}"
    assert describe_hardware(torch.device("cpu")) == expected


def test_system_without_cpuinfo_still_says_something(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "_CPU_INFO", tmp_path / "absent")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert describe_hardware(torch.device("cpu")).startswith("riscv64, ")


def test_gpu_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"GPU {device.index}")
    assert describe_hardware(torch.device("cuda:1")) == f"GPU 1, torch {torch.__version__}"
