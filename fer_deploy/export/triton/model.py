"""Read an artifact for Triton and choose its batch sizes from the settings. Uses no protobuf and writes nothing."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from fer_deploy.artifacts import file_sha256, require_file
from fer_deploy.engines import open_engine
from fer_deploy.errors import ArtifactError, ConfigError, ExportError
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import PlanManifest, read_manifest
from fer_deploy.settings import Settings
from fer_deploy.spec import ModelSpec

ONNX_MAX_BATCH = 64
"""Default of --max-batch-size: the largest batch that `fer-deploy export` verifies, and a plan's default maximum."""
ONNX_PREFERRED = (8, 32)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FIX_MISSING = "fer-deploy export --checkpoint weights/net.safetensors --out artifacts/net"


def _device_from_triton(value: Any) -> Any:
    """Return "cuda" for "gpu", the name in Triton's own files."""
    return "cuda" if value == "gpu" else value


class TritonSettings(Settings):
    """Settings for batching and running the models; flags of `fer-deploy triton` have these names."""

    max_batch_size: int | None = Field(
        default=None, ge=1, le=65_536, description="images; null: the maximum of a plan's profile, 64 for ONNX"
    )
    preferred_batch_size: tuple[int, ...] | None = Field(
        default=None,
        strict=False,
        description="batch sizes that run without delay; null: a plan's opt and max, 8 and 32 for ONNX",
    )
    max_queue_delay_us: int = Field(default=500, ge=0, description="microseconds that a request waits for others")
    device: Annotated[Literal["auto", "cpu", "cuda"], BeforeValidator(_device_from_triton)] = Field(
        default="auto", description="auto: a plan on the GPU, ONNX on the GPU if the server has one"
    )
    instances: int = Field(default=1, ge=1, description="copies of each model, for each GPU or on the CPU")
    warmup: Literal["zero", "random", "off"] = Field(
        default="random", description="images that run before the first request"
    )
    cuda_graphs: bool = Field(default=True, description="replay captured launches; plans only")


@dataclass(frozen=True)
class Servable:
    """One artifact that Triton can load.

    Attributes:
        name: name of the model and its folder, such as "net-fp32-onnx".
        artifact: path of the artifact.
        sha256: hex digest of the artifact's bytes.
        spec: ModelSpec of the artifact.
        manifest: manifest of a plan; None for ONNX.
    """

    name: str
    artifact: Path
    sha256: str
    spec: ModelSpec
    manifest: PlanManifest | None

    @property
    def backend(self) -> str:
        """Return the name of Triton's backend."""
        return "onnxruntime" if self.manifest is None else "tensorrt"

    @property
    def file_name(self) -> str:
        """Return the file name that the backend expects in the version folder."""
        return "model.onnx" if self.manifest is None else "model.plan"


@dataclass(frozen=True)
class Batching:
    """Batch sizes in images, in ascending order: 1 <= preferred and warmup <= max_size."""

    max_size: int
    preferred: tuple[int, ...]
    warmup: tuple[int, ...]


def read_servable(artifact: Path) -> Servable:
    """Read the ModelSpec of an `.onnx`, or the manifest of a `.plan`, and name the model after the file.

    Raises:
        ArtifactError: the file is missing or damaged, has another suffix or no ModelSpec, or a plan does not match its
            manifest.
        EngineError, MissingDependencyError: ONNX Runtime cannot open the ONNX model here.
        ExportError: Triton's backend cannot load the plan, or the file name is not valid as a model name.
    """
    if artifact.suffix not in (".onnx", ".plan"):
        raise ArtifactError(f"cannot serve {artifact}: expected .onnx or .plan. Fix: {_FIX_MISSING}")
    require_file(artifact, fix=_FIX_MISSING)
    name = model_name(artifact)
    sha256 = file_sha256(artifact)
    manifest = _plan_manifest(artifact, sha256) if artifact.suffix == ".plan" else None
    if manifest is not None:
        return Servable(name, artifact, sha256, manifest.spec, manifest)
    with open_engine(artifact, device="cpu") as engine:
        return Servable(name, artifact, sha256, engine.spec, None)


def model_name(artifact: Path) -> str:
    """Return the name of a model and its folder, such as net-fp32-onnx.

    Raises:
        ExportError: it is no name for a URL.
    """
    name = f"{artifact.stem}-{artifact.suffix[1:]}"
    if not _NAME.fullmatch(name):
        raise ExportError(
            f"{artifact.name} is not a valid model name for a URL, expected letters, digits, '.', '_' and '-'. "
            "Fix: rename it"
        )
    return name


def _plan_manifest(plan: Path, sha256: str) -> PlanManifest:
    manifest = read_manifest(plan)
    if manifest.plan_sha256 != sha256:
        raise ArtifactError(
            f"{plan} is not the file that its manifest describes: sha256 {sha256[:12]}..., expected "
            f"{manifest.plan_sha256[:12]}... Fix: build the plan again with fer-deploy build"
        )
    if manifest.flavor is not Flavor.TENSORRT:
        raise ExportError(
            f"Triton cannot load {plan}: it was built with {manifest.flavor.display_name}, and Triton's backend "
            "loads plans of TensorRT only. Fix: build it with TensorRT of the server's version, or serve the .onnx"
        )
    if manifest.profile.min > 1:
        raise ExportError(
            f"Triton cannot serve {plan}: its profile begins at a batch of {manifest.profile.min}, a request may have "
            "one image. Fix: build it with a profile that begins at 1"
        )
    return manifest


def choose_batching(servable: Servable, settings: TritonSettings) -> Batching:
    """Return the batch sizes of one model.

    Raises:
        ConfigError: the maximum is larger than the plan's profile, or a preferred size is not from 1 to the maximum.
    """
    profile = servable.manifest.profile if servable.manifest else None
    max_size = settings.max_batch_size or (profile.max if profile else ONNX_MAX_BATCH)
    if profile is not None and max_size > profile.max:
        raise ConfigError(
            f"max_batch_size {max_size} is more than the profile of {servable.artifact} allows ({profile.max}). "
            f"Fix: --max-batch-size {profile.max}, or build the plan with a larger profile"
        )
    if settings.preferred_batch_size is None:
        usual = (profile.opt, profile.max) if profile else ONNX_PREFERRED
        preferred = {min(size, max_size) for size in usual} - {1} or {max_size}
    else:
        preferred = set(settings.preferred_batch_size)
        wrong = sorted(size for size in preferred if not 1 <= size <= max_size)
        if wrong:
            raise ConfigError(
                f"preferred_batch_size {wrong[0]} is outside of 1 to {max_size}, the maximum of {servable.name}. "
                f"Fix: --preferred-batch-size {max_size}"
            )
    warmup = {1} | preferred if settings.warmup != "off" else set()
    return Batching(max_size, tuple(sorted(preferred)), tuple(sorted(warmup)))
