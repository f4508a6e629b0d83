"""TensorRT engine of both flavors: run a plan on the GPU, without torch. `admission` checks plans before loading."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.buckets import buckets_of
from fer_deploy.engines.tensorrt.admission import AdmittedPlan, admit, admit_blindly, require_cuda
from fer_deploy.engines.tensorrt.loading import load, read_profile
from fer_deploy.engines.tensorrt.runner import PlanRunner
from fer_deploy.errors import ArtifactError, EngineError
from fer_deploy.manifest import BatchProfile, manifest_path, read_manifest
from fer_deploy.spec import ModelSpec


class TensorRTEngine(Engine):
    """Runs a plan on CUDA device 0. `infer` may be called from several threads, which take turns."""

    def __init__(self, runner: PlanRunner, resources: ExitStack, spec: ModelSpec, description: str) -> None:
        """Create an engine; it closes `resources`, which free the runner and the engine's memory."""
        super().__init__(spec, description)
        self._runner = runner
        self._resources = resources
        self._turn = threading.Lock()
        self._is_closed = False

    @classmethod
    def open(
        cls, path: Path, *, device: Device = "auto", trust_plan: bool = False, allow_host_code: bool = False
    ) -> Self:
        """Check, load, warm up and capture; see `fer_deploy.engines.open_engine` for arguments and errors."""
        require_cuda(path, device)
        if trust_plan and not manifest_path(path).exists():
            spec = _spec_of_onnx_beside(path)
            return cls._load(admit_blindly(path, allow_host_code=allow_host_code), spec, None)
        manifest = read_manifest(path)
        plan = admit(path, manifest, trust_plan=trust_plan, allow_host_code=allow_host_code)
        return cls._load(plan, manifest.spec, manifest.profile)

    @classmethod
    def _load(cls, plan: AdmittedPlan, spec: ModelSpec, promised: BatchProfile | None) -> Self:
        """Load a plan and compare it with `spec` and with the profile `promised`, if there is one."""
        with ExitStack() as undo:
            loaded = load(plan, undo, is_captured=True)
            profile = read_profile(loaded.trt, loaded.engine, spec, where=plan.path)
            _require_promised_profile(plan.path, profile, promised)
            buckets = buckets_of(profile.min, profile.max)
            runner = PlanRunner(plan.cuda, loaded.new_context, spec, buckets, loaded.log.take)
            undo.callback(runner.close)
            notes = [loaded.description, spec.precision, loaded.keep_kernels()]
            resources = undo.pop_all()
        if runner.num_graphs == 0:
            notes.append("without CUDA graphs: the plan cannot be captured")
        return cls(runner, resources, spec, ", ".join(filter(None, notes)))

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._turn:
            if self._is_closed:
                raise EngineError(f"{self.description} is closed. Fix: open it again")
            return self._runner.run(images_nchw)

    def close(self) -> None:
        """Free graphs, contexts, buffers and engine after the running call; further calls do nothing."""
        with self._turn:
            self._is_closed = True
            self._resources.close()


def _require_promised_profile(path: Path, profile: BatchProfile, promised: BatchProfile | None) -> None:
    if promised is not None and (profile.min, profile.max) != (promised.min, promised.max):
        raise ArtifactError(
            f"cannot use {path}: it accepts batches of {profile.min} to {profile.max}, its manifest promises "
            f"{promised.min} to {promised.max}. Fix: build it again with fer-deploy build"
        )


def _spec_of_onnx_beside(path: Path) -> ModelSpec:
    """Return the ModelSpec of a plan without a manifest, from the ONNX beside it.

    Raises:
        ArtifactError: there is no ONNX of the same name, so labels and input are unknown.
        MissingDependencyError: ONNX Runtime, which reads the ONNX, is not installed.
    """
    from fer_deploy.engines import open_engine  # noqa: PLC0415 - it imports this module

    source = path.with_suffix(".onnx")
    if not source.exists():
        raise ArtifactError(
            f"cannot use {path}: it has no manifest, and no {source.name} beside it with its labels and input. "
            f"Fix: copy {source.name} there, or build the plan with fer-deploy build"
        )
    with open_engine(source, device="cpu") as reader:
        return reader.spec
