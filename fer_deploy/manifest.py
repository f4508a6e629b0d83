"""PlanManifest: what stands beside a TensorRT plan as `<name>.plan.json`.

The plan itself stays raw, so that trtexec, Triton and DeepStream load it. A plan is executable code and says nothing of
itself before it is deserialized: all that must be known before, whether it is the file that was built and whether it
fits this machine, stands here.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fer_deploy.errors import ArtifactError
from fer_deploy.flavors import Flavor
from fer_deploy.spec import ModelSpec, Precision, describe_faults

MAX_MANIFEST_BYTES = 1_000_000
DType = Literal["float32", "float16", "uint8", "int32", "int64"]
"""Of a network's tensors, with numpy's names."""
_Word = Annotated[str, Field(max_length=255)]
_Name = Annotated[str, Field(min_length=1, max_length=255)]
_Size = Annotated[int, Field(ge=1, le=65_536)]
_MAX_DIMS = 8  # TensorRT's limit
_FIX = "Fix: build the plan again with fer-deploy build"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    """Shapes between which an input of a network may lie; the plan is fastest at `opt`."""

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
        """None for each size that may differ from call to call."""
        return tuple(low if low == high else None for low, high in zip(self.min, self.max, strict=True))


class OutputContract(_Frozen):
    """An output of a network; a size that is None follows from the inputs."""

    dtype: DType
    shape: tuple[_Size | None, ...] = Field(max_length=_MAX_DIMS)


class NetworkContract(_Frozen):
    """What goes into a network without ModelSpec and what comes out, by name. `precision` is its convolutions'."""

    precision: Precision
    inputs: dict[_Name, InputContract] = Field(min_length=1, max_length=64)
    outputs: dict[_Name, OutputContract] = Field(min_length=1, max_length=64)


class PlanTarget(_Frozen):
    """Where the plan runs.

    Attributes:
        compute_capabilities: such as ("8.6", "8.9"): those it was compiled for.
        hardware_compatibility: "none": these compute capabilities, and for TensorRT the GPU model that built it;
            "same_compute_capability": any GPU of them; "ampere_plus": 8.0 and everything newer.
        os: `platform.system()` in lower case where it was built; "any" for a plan that is portable.
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
    """In which types the plan computes, with TensorRT's names of them: Float, Half, Int8.

    Attributes:
        convolutions: number of convolutions by the type they compute in, such as {"Int8": 8}.
        layers: number of layers by the type of their output, such as {"Half": 12, "Int8": 9}.
        source: who was asked: "inspector", the engine on a GPU; "plan", the compiled program inside a plan of TensorRT
            for RTX; "network", the strongly typed network, which says what was asked for, not what was compiled.
    """

    convolutions: dict[str, int] = Field(default_factory=dict)
    layers: dict[str, int]
    source: Literal["inspector", "plan", "network"]


class PlanFacts(_Frozen):
    """Identity and needs of one plan, whatever network it holds."""

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
            raise ValueError(f"{source_onnx!r} is no file name")
        return source_onnx


class PlanManifest(PlanFacts):
    """Of the plan of an emotion model."""

    spec: ModelSpec
    profile: BatchProfile
    report: dict[str, Any] | None = Field(default=None, description="verification of the engine; None: not run")


class NetworkManifest(PlanFacts):
    """Of the plan of a network without ModelSpec, such as a face detector; it never embeds code that would run here."""

    needs_host_code: Literal[False] = False
    network: NetworkContract


class _Kind(BaseModel):
    """What tells one manifest from the other."""

    network: Any = None


def manifest_path(plan: Path) -> Path:
    """Return where the manifest of a plan stands: `model.plan` -> `model.plan.json`."""
    return plan.with_name(plan.name + ".json")


def read_manifest(plan: Path) -> PlanManifest:
    """Read what stands beside an emotion model's plan; the plan itself is not touched.

    Raises:
        ArtifactError: no such file, too large, not JSON, not a manifest of this format, or that of another network.
    """
    found = read_any_manifest(plan)
    if isinstance(found, NetworkManifest):
        raise ArtifactError(
            f"{plan} is no emotion model: its manifest describes a network of {', '.join(found.network.inputs)} -> "
            f"{', '.join(found.network.outputs)}"[:1000]
            + ". Fix: a face detector is given as --detector-model"
        )
    return found


def read_network_manifest(plan: Path) -> NetworkManifest:
    """Read what stands beside the plan of a network without ModelSpec, as `read_manifest` does.

    Raises:
        ArtifactError: see `read_manifest`; or it is an emotion model's.
    """
    found = read_any_manifest(plan, unless="")
    if isinstance(found, PlanManifest):
        raise ArtifactError(
            f"{plan} is an emotion model ({found.spec.architecture[:100]}), expected a network without ModelSpec. "
            "Fix: give it as --engine; a network's plan is built with fer-deploy build --input-shapes"
        )
    return found


def read_any_manifest(
    plan: Path, *, unless: str = ", or --trust-plan if you built it yourself"
) -> PlanManifest | NetworkManifest:
    """Read what stands beside a plan of either kind.

    Args:
        plan: need not exist.
        unless: ends the message where there is no manifest: how to do without.

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
        raise ArtifactError(f"{path} is larger than {MAX_MANIFEST_BYTES:,} bytes: no manifest. {_FIX}")
    return content


def _class_of(content: bytes) -> type[PlanManifest] | type[NetworkManifest]:
    try:
        return PlanManifest if _Kind.model_validate_json(content).network is None else NetworkManifest
    except ValidationError:  # no JSON object: an emotion model's manifest says so as well as the other
        return PlanManifest


def manifest_json(manifest: PlanFacts) -> str:
    """Return the text of the file."""
    return json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False) + "\n"


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return such as "1x3x288x480"; a size that is free is "N"."""
    return "x".join("N" if size is None else str(size) for size in shape)
