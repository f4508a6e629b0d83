"""TensorRT engine, both flavors: a plan on the GPU, without torch.

Decides first whether a plan is what its manifest says and whether it fits this machine; only then is it deserialized.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fer_deploy.engines import _runtime_cache
from fer_deploy.engines._cuda import Cuda
from fer_deploy.engines.base import Device, Engine
from fer_deploy.engines.plan_buckets import buckets_of
from fer_deploy.engines.plan_loading import CapturedLog, deserialize, read_profile
from fer_deploy.engines.plan_runner import PlanRunner
from fer_deploy.environment import Gpu, read_host
from fer_deploy.errors import ArtifactError, EngineError, MissingDependencyError
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import BatchProfile, PlanManifest, manifest_path, read_manifest
from fer_deploy.plan_compatibility import describe_mismatches, judge, read_trusted_plan
from fer_deploy.spec import ModelSpec


@dataclass(frozen=True)
class _Plan:
    """A plan that may be deserialized. `spec` and `profile` are what it promises; no profile: it promises none."""

    path: Path
    content: bytes
    flavor: Flavor
    spec: ModelSpec
    profile: BatchProfile | None
    allow_host_code: bool


class TensorRTEngine(Engine):
    """Runs a plan on CUDA device 0. `infer` may be called from several threads: they take turns."""

    def __init__(self, runner: PlanRunner, resources: ExitStack, spec: ModelSpec, description: str) -> None:
        """Take over `resources`, which free the runner and what it stands on."""
        super().__init__(spec, description)
        self._runner = runner
        self._resources = resources
        self._turn = threading.Lock()
        self._is_closed = False

    @classmethod
    def open(
        cls, path: Path, *, device: Device = "auto", trust_plan: bool = False, allow_host_code: bool = False
    ) -> Self:
        """Judge, load, warm up and capture; see `fer_deploy.engines.open_engine` for arguments and errors."""
        if device not in ("auto", "cuda"):
            raise EngineError(
                f"cannot run {path} on the device {device}: a TensorRT plan runs on CUDA only. "
                "Fix: --device cuda, or give --engine an .onnx"
            )
        is_trusted_blindly = trust_plan and not manifest_path(path).exists()
        manifest = None if is_trusted_blindly else read_manifest(path)
        content = read_trusted_plan(path, None if trust_plan else manifest)
        cuda = Cuda()
        if manifest is None:
            plan = _without_manifest(path, content, allow_host_code)
            gpu = cuda.gpu()
        else:
            gpu = _require_fit(path, manifest, cuda)
            host_code = _require_permission(path, manifest, allow_host_code)
            plan = _Plan(path, content, manifest.flavor, manifest.spec, manifest.profile, host_code)
        return cls._load(plan, cuda, gpu)

    @classmethod
    def _load(cls, plan: _Plan, cuda: Cuda, gpu: Gpu) -> Self:
        trt = _import_flavor(plan.flavor)
        log = CapturedLog(trt)
        with ExitStack() as undo:
            runtime, engine = deserialize(trt, plan.content, log, where=plan.path, allow_host_code=plan.allow_host_code)
            new_context, finish = _contexts(trt, engine, plan, gpu)
            undo.callback(_keep, runtime, engine, log, new_context, finish)  # they outlive the contexts
            profile = read_profile(trt, engine, plan.spec, where=plan.path)
            _require_promised_profile(plan, profile)
            runner = PlanRunner(cuda, new_context, plan.spec, buckets_of(profile.min, profile.max), log.take)
            undo.callback(runner.close)
            notes = [f"{plan.flavor.display_name} {trt.__version__}, {gpu.name}, {plan.spec.precision}", finish()]
            resources = undo.pop_all()
        if runner.num_graphs == 0:
            notes.append("without CUDA graphs: the plan cannot be captured")
        return cls(runner, resources, plan.spec, ", ".join(filter(None, notes)))

    def _run(self, images_nchw: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._turn:
            if self._is_closed:
                raise EngineError(f"{self.description} is closed. Fix: open it again")
            return self._runner.run(images_nchw)

    def close(self) -> None:
        """Free graphs, contexts, buffers and engine, after the call that is running; may be called twice."""
        with self._turn:
            self._is_closed = True
            self._resources.close()


def _keep(*_: object) -> None:
    """Hold references until the stack that calls this is done."""


def _require_fit(path: Path, manifest: PlanManifest, cuda: Cuda) -> Gpu:
    """Return the GPU that the plan will run on.

    Raises:
        MissingDependencyError: the plan's flavor is not installed.
        EngineError: it does not fit this machine.
    """
    why_no_gpu = ""
    try:
        gpus: tuple[Gpu, ...] = (cuda.gpu(),)
    except EngineError as err:
        gpus, why_no_gpu = (), f"\n    {err}"
    host = read_host(gpus)
    if manifest.flavor in host.tensorrt:  # the module's own word is exact; a package's version may differ in a suffix
        version = str(_import_flavor(manifest.flavor).__version__)
        host = replace(host, tensorrt={**host.tensorrt, manifest.flavor: version})
    mismatches = judge(manifest, host)
    if not mismatches:
        return gpus[0]
    kind = EngineError if manifest.flavor in host.tensorrt else MissingDependencyError
    raise kind(f"cannot load {path}: {describe_mismatches(path, manifest, mismatches)}{why_no_gpu}")


def _require_permission(path: Path, manifest: PlanManifest, allow_host_code: bool) -> bool:
    """Return whether host code may run: the plan needs it and the user said so."""
    if manifest.needs_host_code and not allow_host_code:
        raise EngineError(
            f"cannot load {path}: it embeds a lean runtime, which is native code that would run on this machine.\n"
            "    Fix: --allow-host-code if you trust it, or a plan without: "
            f"fer-deploy build --onnx {path.with_name(manifest.source_onnx)} --out {path}"
        )
    return manifest.needs_host_code


def _require_promised_profile(plan: _Plan, profile: BatchProfile) -> None:
    if plan.profile is not None and (profile.min, profile.max) != (plan.profile.min, plan.profile.max):
        raise ArtifactError(
            f"cannot use {plan.path}: it takes batches of {profile.min} to {profile.max}, its manifest promises "
            f"{plan.profile.min} to {plan.profile.max}. Fix: build it again with fer-deploy build"
        )


def _without_manifest(path: Path, content: bytes, allow_host_code: bool) -> _Plan:
    """Return a plan that only the user's word vouches for; its ModelSpec comes from the ONNX of the same name.

    Raises:
        ArtifactError: no such ONNX, so that labels and input are unknown.
        MissingDependencyError: neither flavor, or no ONNX Runtime to read the ONNX with.
    """
    from fer_deploy.engines import open_engine  # noqa: PLC0415 - it knows the reader of .onnx, and imports this module

    source = path.with_suffix(".onnx")
    if not source.exists():
        raise ArtifactError(
            f"cannot use {path}: it has no manifest, and no {source.name} beside it to say its labels and input. "
            f"Fix: copy {source.name} there, or build the plan with fer-deploy build"
        )
    flavors = list(read_host().tensorrt)
    if not flavors:
        raise MissingDependencyError(
            f"cannot open {path}: TensorRT is not installed. Fix: pip install 'fer-toolchain[tensorrt]'"
        )
    with open_engine(source, device="cpu") as reader:
        return _Plan(path, content, flavors[0], reader.spec, None, allow_host_code)


def _import_flavor(flavor: Flavor) -> Any:
    try:
        return import_module(flavor.module)
    except ImportError as err:
        raise MissingDependencyError(
            f"cannot import {flavor.module}: {err}. Fix: pip install 'fer-toolchain[{flavor.extra}]'"
        ) from err


def _contexts(trt: Any, engine: Any, plan: _Plan, gpu: Gpu) -> tuple[Callable[[], Any], Callable[[], str]]:
    """Return what makes an execution context, and what to call once all are warm (it returns a note or "")."""
    if plan.flavor is Flavor.TENSORRT:
        return engine.create_execution_context, lambda: ""
    path = _runtime_cache.cache_file(plan.content, trt.__version__, gpu.name)
    config, cache = _runtime_cache.rtx_config(trt, engine, path)
    return lambda: engine.create_execution_context(config), lambda: _runtime_cache.store(cache, path)
