"""Check a plan before it is deserialized: does it match its manifest, and does it run on this machine?

Needs neither TensorRT nor CUDA. Deserializing a plan runs its code, so both checks come first.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fer_deploy.environment import Gpu, Host
from fer_deploy.errors import ArtifactError, argument
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import NetworkManifest, PlanFacts, manifest_path, shape_text

_OLDEST_AMPERE = (8, 0)


@dataclass(frozen=True)
class Mismatch:
    """A reason why a plan cannot run on this machine.

    Attributes:
        built: what it was built with, as text after "built", such as "for sm_86".
        here: what this machine has, such as "sm_90".
        missing: pip extra that installs what is missing, "gpu" if there is no GPU, or "" if a rebuild fixes it.
    """

    built: str
    here: str
    missing: str = ""


def find_mismatches(manifest: PlanFacts, host: Host) -> list[Mismatch]:
    """Return every reason why the plan cannot run on this machine; an empty list: TensorRT may load it.

    With several GPUs in `host`, one compatible GPU is enough.
    """
    found = [_check_version(manifest, host), _check_gpus(manifest, host), _check_system(manifest, host)]
    return [mismatch for mismatch in found if mismatch is not None]


def describe_mismatches(plan: Path, manifest: PlanFacts, mismatches: list[Mismatch]) -> str:
    """Return the message and its fix, without the leading "cannot load"."""
    built = " ".join(mismatch.built for mismatch in mismatches)
    here = " and ".join(mismatch.here for mismatch in mismatches)
    return f"built {built}; this machine has {here}.\n    Fix: {_fix(plan, manifest, mismatches)}"


def read_trusted_plan(plan: Path, manifest: PlanFacts | None) -> bytes:
    """Return the plan's bytes after checking them against the manifest.

    Deserialize these bytes; do not read the file a second time, since it may have changed.

    Args:
        plan: path of the plan.
        manifest: of the plan; None: the user trusts the file, and nothing is checked.

    Raises:
        ArtifactError: unreadable, or its size or SHA-256 differs from the manifest.
    """
    try:
        content = plan.read_bytes()
    except OSError as err:
        raise ArtifactError(f"cannot read {plan}: {err.strerror or err}") from err
    fault = None if manifest is None else identity_fault(content, manifest)
    if fault is not None:
        unless = "" if isinstance(manifest, NetworkManifest) else f"; {argument('trust_plan')} loads it as it is"
        raise ArtifactError(
            f"cannot load {plan}: {fault}, so it is not the file that {manifest_path(plan).name} describes; a plan is "
            f"executable code.\n    Fix: copy both files again, or build the plan with fer-deploy build{unless}"
        )
    return content


def identity_fault(content: bytes, manifest: PlanFacts) -> str | None:
    """Return how the bytes differ from the manifest, or None."""
    if len(content) != manifest.plan_bytes:
        return f"it has {len(content):,} bytes, expected {manifest.plan_bytes:,}"
    digest = digest_of(content)
    return None if digest == manifest.plan_sha256 else f"its SHA-256 is {digest}, expected {manifest.plan_sha256}"


def digest_of(content: bytes) -> str:
    """Return the hex SHA-256 of bytes in memory."""
    return hashlib.sha256(content).hexdigest()


def _check_version(manifest: PlanFacts, host: Host) -> Mismatch | None:
    built = f"with {manifest.flavor.display_name} {manifest.version}"
    version = host.tensorrt.get(manifest.flavor)
    if version is None:
        others = [f"{flavor.display_name} {number}" for flavor, number in host.tensorrt.items()]
        return Mismatch(built, " and ".join(others) or f"no {manifest.flavor.display_name}", manifest.flavor.extra)
    here = f"{manifest.flavor.display_name} {version}"
    if version == manifest.version or (manifest.version_compatible and _reads(version, manifest.version)):
        return None
    return Mismatch(built, here)


def _reads(version: str, built: str) -> bool:
    """Return whether a version of TensorRT loads a version-compatible plan.

    The plan must not be newer, and must be of the same or the previous major version. Source: support matrix of
    TensorRT 11.4 (10 -> 11 loads, 8 -> 11 does not).
    """
    ours, theirs = _numbers(version), _numbers(built)
    return theirs <= ours and ours[0] - theirs[0] <= 1


def _check_gpus(manifest: PlanFacts, host: Host) -> Mismatch | None:
    target = manifest.target
    built = "for " + ", ".join(f"sm_{capability.replace('.', '')}" for capability in target.compute_capabilities)
    if not host.gpus:
        return Mismatch(built, "no NVIDIA GPU", "gpu")
    same_capability = [gpu for gpu in host.gpus if _fits_capability(gpu, manifest)]
    if not same_capability:
        return Mismatch(built, ", ".join(f"sm_{gpu.compute_capability.replace('.', '')}" for gpu in host.gpus))
    is_tied = manifest.flavor is Flavor.TENSORRT and target.hardware_compatibility == "none" and target.gpu is not None
    if is_tied and target.gpu not in {gpu.name for gpu in same_capability}:
        return Mismatch(f"for {target.gpu}", ", ".join(gpu.name for gpu in same_capability))
    return None


def _fits_capability(gpu: Gpu, manifest: PlanFacts) -> bool:
    if manifest.target.hardware_compatibility == "ampere_plus":
        return _numbers(gpu.compute_capability) >= _OLDEST_AMPERE
    return gpu.compute_capability in manifest.target.compute_capabilities


def _check_system(manifest: PlanFacts, host: Host) -> Mismatch | None:
    target = manifest.target
    if target.os in ("any", host.os) and target.machine in ("any", host.machine):
        return None
    return Mismatch(f"on {target.os} {target.machine}", f"{host.os} {host.machine}")


def _fix(plan: Path, manifest: PlanFacts, mismatches: list[Mismatch]) -> str:
    missing = {mismatch.missing for mismatch in mismatches if mismatch.missing}
    if "gpu" in missing:
        named = argument("detector_model" if isinstance(manifest, NetworkManifest) else "engine")
        return f"run it where nvidia-smi lists a GPU, or give {named} an .onnx (fer-deploy doctor says more)"
    rebuild = f"fer-deploy build --onnx {plan.with_name(manifest.source_onnx)} --out {plan}"
    if (manifest.flavor is Flavor.TENSORRT_RTX) != bool(missing):  # a flavor that is missing cannot build either
        rebuild += f" --flavor {Flavor.TENSORRT_RTX.extra}"
    if isinstance(manifest, NetworkManifest):
        rebuild += "".join(
            f" --input-shapes {name} {' '.join(map(shape_text, (found.min, found.opt, found.max)))}"
            for name, found in manifest.network.inputs.items()
        )
    if missing:
        return f"pip install 'fer-toolchain[{missing.pop()}]', or {rebuild}"
    return rebuild


def _numbers(version: str) -> tuple[int, ...]:
    """Return "11.4.0.106" as (11, 4, 0, 106); a part that is not a number counts as 0."""
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
