"""PlanManifest: the JSON file `<name>.plan.json` that describes the TensorRT plan beside it.

The plan file holds only the plan, so trtexec, Triton and DeepStream can load it. A plan is executable code and cannot
be inspected before it is deserialized. The manifest holds what must be known before: the plan's digest, and the
machines that it runs on.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fer_deploy.errors import ArtifactError, argument
from fer_deploy.flavors import Flavor
from fer_deploy.spec import ModelSpec, Precision, describe_faults

MAX_MANIFEST_BYTES = 1_000_000
DType = Literal["float32", "float16", "uint8", "int32", "int64"]
"""Types of a network's tensors, with numpy's names."""
_Word = Annotated[str, Field(max_length=255)]
_Name = Annotated[str, Field(min_length=1, max_length=255)]
_Size = Annotated[int, Field(ge=1, le=65_536)]
_MAX_DIMS = 8  # TensorRT's limit
_FIX = "Fix: build the plan again with fer-deploy build"


class _Frozen(BaseModel):
    # Most runs open no plan: the validators are built when the first manifest is read.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class BatchProfile(_Frozen):
    """Batch sizes of the optimization profile."""

    min: int = Field(default=1, ge=1)
    opt: int = Field(default=4, ge=1)
    max: int = Field(default=64, ge=1, le=65_536)

    @model_validator(mode="after")
    def _rising(self) -> "BatchProfile":
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"profile must rise: min {self.min} <= opt {self.opt} <= max {self.max}")
        return self


class ShapeRange(_Frozen):
    """Smallest, optimal and largest shape of a network's input; the plan is fastest at `opt`."""

    min: tuple[_Size, ...] = Field(max_length=_MAX_DIMS)
    opt: tuple[_Size, ...] = Field(max_length=_MAX_DIMS)
    max: tuple[_Size, ...] = Field(max_length=_MAX_DIMS)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        shapes = (self.min, self.opt, self.max)
        if len({len(shape) for shape in shapes}) > 1 or any(
            low > high for pair in pairwise(shapes) for low, high in zip(*pair, strict=True)
        ):
            raise ValueError(f"each size must rise from min to opt to max, found {' '.join(map(shape_text, shapes))}")
        return self


class InputContract(ShapeRange):
    """An input of a network."""

    dtype: DType

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape, with None for each size that may differ from call to call."""
        return tuple(low if low == high else None for low, high in zip(self.min, self.max, strict=True))


class OutputContract(_Frozen):
    """An output of a network; a size that is None follows from the inputs."""

    dtype: DType
    shape: tuple[_Size | None, ...] = Field(max_length=_MAX_DIMS)


class NetworkContract(_Frozen):
    """Inputs and outputs of a network without ModelSpec, by name. `precision` is that of its convolutions."""

    precision: Precision
    inputs: dict[_Name, InputContract] = Field(min_length=1, max_length=64)
    outputs: dict[_Name, OutputContract] = Field(min_length=1, max_length=64)


class PlanTarget(_Frozen):
    """The machines that can run the plan.

    Attributes:
        compute_capabilities: those it was compiled for, such as ("8.6", "8.9").
        hardware_compatibility: "none": these compute capabilities, and for TensorRT the GPU model that built it;
            "same_compute_capability": any GPU with one of them; "ampere_plus": 8.0 and newer.
        os: `platform.system()` in lower case where it was built; "any" for a portable plan.
        machine: `platform.machine()`, such as "x86_64"; or "any".
        gpu: name of the GPU that built it; None: built ahead of time without one.
        driver: version of the NVIDIA driver at the build, or None.
        cuda: version of CUDA that the flavor was built with, or None.
    """

    compute_capabilities: tuple[_Word, ...] = Field(min_length=1, max_length=64)
    hardware_compatibility: Literal["none", "same_compute_capability", "ampere_plus"] = "none"
    os: _Word
    machine: _Word
    gpu: _Word | None = None
    driver: _Word | None = None
    cuda: _Word | None = None


class PrecisionProof(_Frozen):
    """The types that the plan computes in, with TensorRT's names: Float, Half, Int8.

    Attributes:
        convolutions: number of convolutions by the type they compute in, such as {"Int8": 8}.
        layers: number of layers by the type of their output, such as {"Half": 12, "Int8": 9}.
        source: where the types were read: "inspector", the engine on a GPU; "plan", the compiled program inside a plan
            of TensorRT for RTX; "network", the strongly typed network, which states the requested types, not the
            compiled ones.
    """

    convolutions: dict[str, int] = Field(default_factory=dict)
    layers: dict[str, int]
    source: Literal["inspector", "plan", "network"]


class PlanFacts(_Frozen):
    """Identity and requirements of one plan, for any kind of network."""

    format: Literal["fer-plan-1"] = "fer-plan-1"
    plan_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    plan_bytes: int = Field(ge=1)
    flavor: Flavor
    version: _Word = Field(description="exact version of the flavor, such as 11.4.0.106")
    version_compatible: bool = Field(default=False, description="newer versions of the flavor may load it")
    needs_host_code: bool = Field(default=False, description="embeds a lean runtime: code that runs at loading")
    target: PlanTarget
    precision_proof: PrecisionProof
    source_onnx: _Word = Field(description="file name of the ONNX it was built from")
    source_onnx_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("source_onnx")
    @classmethod
    def _is_a_name(cls, source_onnx: str) -> str:
        if not source_onnx or Path(source_onnx).name != source_onnx:
            raise ValueError(f"{source_onnx!r} is not a file name")
        return source_onnx


class PlanManifest(PlanFacts):
    """Manifest of the plan of an emotion model."""

    spec: ModelSpec
    profile: BatchProfile
    report: dict[str, Any] | None = Field(default=None, description="verification of the engine; None: not run")


class NetworkManifest(PlanFacts):
    """Manifest of the plan of a network without ModelSpec, such as a face detector. It never embeds host code."""

    needs_host_code: Literal[False] = False
    network: NetworkContract


class _Kind(BaseModel):
    """The field that distinguishes the two kinds of manifest."""

    network: Any = None


def manifest_path(plan: Path) -> Path:
    """Return the path of a plan's manifest: `model.plan` -> `model.plan.json`."""
    return plan.with_name(plan.name + ".json")


def read_manifest(plan: Path) -> PlanManifest:
    """Read the manifest of an emotion model's plan. The plan itself is not opened.

    Raises:
        ArtifactError: no such file, too large, not JSON, not a manifest of this format, or that of another network.
    """
    found = read_any_manifest(plan)
    if isinstance(found, NetworkManifest):
        raise ArtifactError(
            f"{plan} is not an emotion model: its manifest describes a network of {', '.join(found.network.inputs)} -> "
            f"{', '.join(found.network.outputs)}"[:1000]
            + f". Fix: a face detector is given as {argument('detector_model')}"
        )
    return found


def read_network_manifest(plan: Path) -> NetworkManifest:
    """Read the manifest of the plan of a network without ModelSpec. The plan itself is not opened.

    Raises:
        ArtifactError: see `read_manifest`; or it is an emotion model's.
    """
    found = read_any_manifest(plan, unless="")
    if isinstance(found, PlanManifest):
        raise ArtifactError(
            f"{plan} is an emotion model ({found.spec.architecture[:100]}), expected a network without ModelSpec. "
            f"Fix: give it as {argument('engine')}; a network's plan is built with fer-deploy build --input-shapes"
        )
    return found


def read_any_manifest(
    plan: Path, *, unless: str = f", or {argument('trust_plan')} if you built it yourself"
) -> PlanManifest | NetworkManifest:
    """Read the manifest of a plan of either kind.

    Args:
        plan: path of the plan; the file need not exist.
        unless: end of the message if there is no manifest: how to continue without one.

    Raises:
        ArtifactError: no such file, too large, not JSON, or not a manifest of this format.
    """
    path = manifest_path(plan)
    content = _read_bytes(path, plan, unless)
    try:
        return _class_of(content).model_validate_json(content)
    except ValidationError as err:
        faults = describe_faults(err, whole="file")
        raise ArtifactError(f"{path} is not a manifest that this version reads ({faults}). {_FIX}") from err


def _read_bytes(path: Path, plan: Path, unless: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError as err:
        raise ArtifactError(
            f"{plan} has no {path.name} beside it, which says what it is and where it runs; a plan is executable code. "
            f"{_FIX}{unless}"
        ) from err
    except OSError as err:
        raise ArtifactError(f"cannot read {path}: {err.strerror or err}. {_FIX}") from err
    if len(content) > MAX_MANIFEST_BYTES:
        raise ArtifactError(f"{path} is larger than {MAX_MANIFEST_BYTES:,} bytes, so it is not a manifest. {_FIX}")
    return content


def _class_of(content: bytes) -> type[PlanManifest] | type[NetworkManifest]:
    try:
        return PlanManifest if _Kind.model_validate_json(content).network is None else NetworkManifest
    except ValidationError:  # not a JSON object: PlanManifest reports the same fault as NetworkManifest
        return PlanManifest


def manifest_json(manifest: PlanFacts) -> str:
    """Return the manifest as the text of its file."""
    return json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False) + "\n"


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a shape as text, such as "1x3x288x480"; a variable size is "N"."""
    return "x".join("N" if size is None else str(size) for size in shape)
