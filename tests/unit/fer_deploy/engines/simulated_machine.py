"""A machine with a simulated GPU, for engines that are opened as a user opens them."""

import sys
from pathlib import Path

import pytest
from unit.fer_deploy.engines.simulated_cuda import SimulatedCudart
from unit.fer_deploy.engines.tensorrt.plan_files import write_plan
from unit.fer_deploy.engines.tensorrt.simulated_tensorrt import SimulatedTensorRT

from fer_deploy.engines import Engine, open_engine
from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.engines.tensorrt import admission as leaf
from fer_deploy.engines.tensorrt.cuda import Cuda
from fer_deploy.environment import Host
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import PlanManifest


class SimulatedMachine:
    """Puts simulated CUDA and TensorRT in the place of the real ones for as long as `monkeypatch` lasts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.cudart = SimulatedCudart()
        self.trt = SimulatedTensorRT(self.cudart, FAKE_SPEC)
        self.folder = folder
        self.versions = {Flavor.TENSORRT: self.trt.__version__}
        monkeypatch.setitem(sys.modules, "tensorrt", self.trt)
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", self.trt)
        monkeypatch.setattr(leaf, "Cuda", lambda: Cuda(self.cudart))
        monkeypatch.setattr(leaf, "read_host", lambda gpus=(): Host("linux", "x86_64", self.versions, gpus))
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def open(self, manifest: PlanManifest | None = None, **options) -> Engine:
        return open_engine(write_plan(self.folder, manifest=manifest), **options)
