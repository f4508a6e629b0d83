"""Settings of a plan build. Precision is not a setting but a property of the ONNX graph."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from fer_deploy.flavors import Flavor
from fer_deploy.manifest import BatchProfile, ShapeRange
from fer_deploy.settings import Settings


def _flavor_from_text(value: Any) -> Any:
    return value.replace("-", "_") if isinstance(value, str) else value


def _texts_from_numbers(value: Any) -> Any:
    """Return texts for numbers, because YAML reads 8.6 as a number."""
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else value


class BuildConfig(Settings):
    """Settings of `fer-deploy build`; YAML keys and flags have these names."""

    flavor: Annotated[Flavor, BeforeValidator(_flavor_from_text)] = Field(
        default=Flavor.TENSORRT, strict=False, description="tensorrt: for the GPU of the build; tensorrt-rtx: for PCs"
    )
    profile: BatchProfile = Field(default=BatchProfile(), description="batch sizes that the plan accepts")
    input_shapes: dict[str, ShapeRange] = Field(
        default={},
        description="for a network without ModelSpec, such as a face detector: min, opt and max shape of each input",
    )
    workspace_mib: int = Field(default=1024, ge=1, description="MiB of GPU memory that a layer may use for scratch")
    compute_capabilities: Annotated[tuple[str, ...], BeforeValidator(_texts_from_numbers)] = Field(
        default=(),
        strict=False,
        description="tensorrt-rtx only, such as 8.6 and 12.0; empty: all that it offers except 7.5, which needs its "
        "own plan",
    )
    hardware_compatibility: Literal["none", "same_compute_capability", "ampere_plus"] = Field(
        default="none", description="tensorrt only: other GPUs on which the plan may run; costs speed"
    )
    version_compatible: bool = Field(
        default=False, description="tensorrt only: newer versions may load it; embeds code that runs at loading"
    )
    timing_cache: Path | None = Field(
        default=None, strict=False, description="tensorrt only: file of kernel timings, read and rewritten by a build"
    )
    tf32: bool = Field(default=False, description="FP32 convolutions may round their inputs to 10 bits of mantissa")

    @field_validator("compute_capabilities")
    @classmethod
    def _are_capabilities(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not re.fullmatch(r"\d{1,2}\.\d", value):
                raise ValueError(f"{value!r} is not a compute capability, expected one such as '8.6'")
        if len(set(values)) < len(values):
            raise ValueError("a compute capability occurs twice")
        return values

    @model_validator(mode="after")
    def _one_kind_of_model(self) -> "BuildConfig":
        if self.input_shapes and "profile" in self.model_fields_set:
            raise ValueError("profile is for emotion models and input_shapes for other networks; give one of them")
        if self.input_shapes and self.version_compatible:
            raise ValueError("version_compatible embeds code that only --engine may be allowed to run; leave it out")
        return self

    @model_validator(mode="after")
    def _flavor_has_it(self) -> "BuildConfig":
        given = {
            "compute_capabilities": (bool(self.compute_capabilities), Flavor.TENSORRT_RTX),
            "hardware_compatibility": (self.hardware_compatibility != "none", Flavor.TENSORRT),
            "version_compatible": (self.version_compatible, Flavor.TENSORRT),
            "timing_cache": (self.timing_cache is not None, Flavor.TENSORRT),
        }
        for name, (is_given, owner) in given.items():
            if is_given and self.flavor is not owner:
                raise ValueError(f"{name} is an option of flavor {owner.extra}; {self.flavor.extra} has none")
        return self
