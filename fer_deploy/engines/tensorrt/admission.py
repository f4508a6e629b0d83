"""Decide whether a plan may be deserialized: it must match its manifest and this machine, and have permission.

A plan is executable code, so these checks come before TensorRT reads a byte.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from fer_deploy.engines.base import Device
from fer_deploy.engines.tensorrt.cuda import Cuda
from fer_deploy.environment import Gpu, read_host
from fer_deploy.errors import EngineError, MissingDependencyError, argument
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import PlanFacts
from fer_deploy.plan_compatibility import describe_mismatches, find_mismatches, read_trusted_plan


@dataclass(frozen=True)
class AdmittedPlan:
    """A plan that may be deserialized. `content` has the checked bytes; `gpu` is the current device of `cuda`."""

    path: Path
    content: bytes
    flavor: Flavor
    allow_host_code: bool
    cuda: Cuda
    gpu: Gpu


def require_cuda(path: Path, device: Device) -> None:
    """Refuse any device but CUDA.

    Raises:
        EngineError: neither "auto" nor "cuda".
    """
    if device not in ("auto", "cuda"):
        raise EngineError(
            f"cannot run {path} on the device {device}: a TensorRT plan runs on CUDA only. "
            f"Fix: {argument('device', 'cuda')}, or an .onnx in its place"
        )


def admit(path: Path, manifest: PlanFacts, *, trust_plan: bool = False, allow_host_code: bool = False) -> AdmittedPlan:
    """Compare a plan with its manifest, and both with this machine.

    Args:
        path: the plan.
        manifest: its manifest.
        trust_plan: skip the comparison with the manifest's SHA-256.
        allow_host_code: the user allows a plan's lean runtime to run on the host.

    Raises:
        ArtifactError: unreadable, or the bytes differ from the manifest.
        MissingDependencyError: the plan's flavor is not installed.
        EngineError: it cannot run on this machine, or needs a permission that was not given.
    """
    content = read_trusted_plan(path, None if trust_plan else manifest)
    cuda = Cuda()
    gpu = _require_fit(path, manifest, cuda)
    _require_permission(path, manifest, allow_host_code)
    return AdmittedPlan(path, content, manifest.flavor, manifest.needs_host_code, cuda, gpu)


def admit_blindly(path: Path, *, allow_host_code: bool) -> AdmittedPlan:
    """Admit a plan without a manifest, which the user trusts; the first installed flavor loads it.

    Raises:
        ArtifactError: unreadable.
        MissingDependencyError: neither flavor is installed.
        EngineError: no GPU.
    """
    flavors = list(read_host().tensorrt)
    if not flavors:
        raise MissingDependencyError(
            f"cannot open {path}: TensorRT is not installed. Fix: pip install 'fer-toolchain[tensorrt]'"
        )
    content, cuda = read_trusted_plan(path, None), Cuda()
    return AdmittedPlan(path, content, flavors[0], allow_host_code, cuda, cuda.gpu())


def import_flavor(flavor: Flavor) -> Any:
    """Return the module of a flavor.

    Raises:
        MissingDependencyError: not installed, or a library that it links is missing.
    """
    try:
        return import_module(flavor.module)
    except ImportError as err:
        raise MissingDependencyError(
            f"cannot import {flavor.module}: {err}. Fix: pip install 'fer-toolchain[{flavor.extra}]'"
        ) from err


def _require_fit(path: Path, manifest: PlanFacts, cuda: Cuda) -> Gpu:
    """Return the GPU that the plan will run on."""
    why_no_gpu = ""
    try:
        gpus: tuple[Gpu, ...] = (cuda.gpu(),)
    except EngineError as err:
        gpus, why_no_gpu = (), f"\n    {err}"
    host = read_host(gpus)
    if manifest.flavor in host.tensorrt:  # the module's version is exact; the package's may differ in a suffix
        version = str(import_flavor(manifest.flavor).__version__)
        host = replace(host, tensorrt={**host.tensorrt, manifest.flavor: version})
    mismatches = find_mismatches(manifest, host)
    if not mismatches:
        return gpus[0]
    kind = EngineError if manifest.flavor in host.tensorrt else MissingDependencyError
    raise kind(f"cannot load {path}: {describe_mismatches(path, manifest, mismatches)}{why_no_gpu}")


def _require_permission(path: Path, manifest: PlanFacts, allow_host_code: bool) -> None:
    if manifest.needs_host_code and not allow_host_code:
        raise EngineError(
            f"cannot load {path}: it embeds a lean runtime, which is native code that would run on this machine.\n"
            f"    Fix: {argument('allow_host_code')} if you trust it, or a plan without: "
            f"fer-deploy build --onnx {path.with_name(manifest.source_onnx)} --out {path}"
        )
