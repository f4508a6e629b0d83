"""Settings of an export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from fer_deploy.export.int8.calibration import Method
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.scores import Limits
from fer_deploy.export.verify.slices import Slice
from fer_deploy.settings import Settings

_Name = Annotated[Variant, Field(strict=False)]
"""A variant, or its name in YAML and flags."""
_SLICES = "min_slice_agreement"
_INT8_LIMITS = Limits(
    min_agreement=0.94,
    max_kl=0.02,
    max_accuracy_drop=0.3,
    max_f1_drop=1.0,
    max_recall_drop=4.0,
    min_slice_agreement={
        Slice.CLEAN: 0.94,
        Slice.DIM: 0.94,
        Slice.BLURRED: 0.88,
        Slice.DIM_SOFT: 0.92,
        Slice.SMALL: 0.88,
        Slice.TURNED: 0.92,
        Slice.NOISE: 0.85,
        Slice.VIDEO: 0.9,
    },
)
DEFAULT_LIMITS = {
    Variant.FP32: Limits(
        max_abs_logit=1e-3,
        max_batch_difference=1e-3,
        max_f1_drop=0.0,
        max_recall_drop=0.0,
        min_slice_agreement=dict.fromkeys(Slice, 0.99),
    ),
    Variant.FP16: Limits(
        max_abs_logit=0.1,
        max_kl=1e-4,
        min_agreement=0.995,
        max_accuracy_drop=0.1,
        min_slice_agreement=dict.fromkeys(Slice, 0.985),
    ),
    Variant.INT8: _INT8_LIMITS,
    Variant.INT8_CPU: _INT8_LIMITS,
}
"""Default limits of each variant. Those of INT8 on slices are wide: they fit a network whose activations run
away on degraded faces. The released networks have 0.97 and more on dim and soft ones."""


class CalibrationConfig(Settings):
    """Faces and method for INT8 ranges."""

    split: str = Field(default="Training", description="split of the data; never the one for accuracy")
    num_faces: int = Field(default=512, ge=1)
    method: Method = Field(default=Method.PERCENTILE, strict=False, description="max, percentile or entropy")
    seed: int = Field(default=0, ge=0)
    degraded_share: float = Field(
        default=0.2, ge=0, le=1, description="share of these faces that are made dim, blurred, small, turned or noisy"
    )


class ExportConfig(Settings):
    """Settings of `fer-deploy export`; YAML keys and flags have these names."""

    checkpoint: Path = Field(strict=False, description="a .safetensors release of fer-train")
    out: Path = Field(strict=False, description="folder of the artifacts")
    data: Path | None = Field(
        default=None,
        strict=False,
        description="FER2013 (CSV or folder) for calibration and verification; null: a public-domain portrait in "
        "many variants, and no INT8",
    )
    ferplus: Path | None = Field(
        default=None,
        strict=False,
        description="votes of FER+'s taggers (fer2013new.csv): their majority is the label for models of FER+'s labels",
    )
    split: str = Field(default="PublicTest", description="split of the data for verification")
    num_faces: int | None = Field(default=None, ge=1, description="faces of that split, evenly spread; null: all")
    slice_faces: int = Field(
        default=512,
        ge=0,
        description="number of these faces, evenly spread, that are degraded in each of several ways; 0: none",
    )
    clip: Path | None = Field(
        default=None,
        strict=False,
        description="a recording, a picture or a folder of them, whose faces are one more slice",
    )
    variants: tuple[_Name, ...] | None = Field(
        default=None, strict=False, description="fp32, fp16, int8, int8-cpu; null: all that are possible with the data"
    )
    opset: int = Field(default=20, ge=19, le=22, description="20: the newest that all supported runtimes read")
    calibration: CalibrationConfig = CalibrationConfig()
    max_accuracy_drop: float = Field(
        default=0.3,
        gt=0,
        description="accuracy in points that INT8 may lose; layers return to higher precision until all limits hold",
    )
    limits: dict[_Name, Limits] = Field(default=DEFAULT_LIMITS)
    build: BuildConfig | None = Field(default=None, description="plans of fp32, fp16 and int8 as well; null: none")
    triton: Path | None = Field(default=None, strict=False, description="folder for a Triton model repository")

    @field_validator("limits", mode="before")
    @classmethod
    def _limits_over_defaults(cls, value: Any) -> Any:
        """Merge the given limits and slices of a variant into its defaults."""
        if not isinstance(value, Mapping):
            return value
        defaults = {str(variant): limits.model_dump() for variant, limits in DEFAULT_LIMITS.items()}
        return {k: _over(defaults.get(k, {}), v) if isinstance(v, Mapping) else v for k, v in value.items()}

    @field_validator("limits", mode="after")
    @classmethod
    def _limits_for_all(cls, limits: dict[Variant, Limits]) -> dict[Variant, Limits]:
        return {**DEFAULT_LIMITS, **limits}

    @field_validator("variants", mode="before")
    @classmethod
    def _list_of_variants(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list | tuple) and value else (value or None)

    @model_validator(mode="after")
    def _slices_are_compared(self) -> "ExportConfig":
        if self.clip is not None and self.slice_faces == 0:
            raise ValueError("clip provides faces for a slice, but slice_faces is 0: no slice is compared; give one")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> "ExportConfig":
        if self.data is None and any(variant.scheme for variant in self.variants or ()):
            raise ValueError("INT8 needs real faces for its ranges; give data: fer2013.csv (--data)")
        quantized = [variant for variant in self.chosen if variant.scheme]
        if quantized and self.split == self.calibration.split:
            raise ValueError(f"accuracy is measured on {self.split}; calibrate on another split (--calibration-split)")
        for variant in quantized:
            limit = self.limits[variant].max_accuracy_drop
            if limit not in (DEFAULT_LIMITS[variant].max_accuracy_drop, self.max_accuracy_drop):
                raise ValueError(
                    f"limits.{variant}.max_accuracy_drop is {limit:g}, but the budget of INT8 is max_accuracy_drop, "
                    f"{self.max_accuracy_drop:g}; give only that"
                )
        return self

    @property
    def chosen(self) -> tuple[Variant, ...]:
        """Return the variants to write, FP32 first, because the others derive from it."""
        wanted = self.variants or tuple(v for v in Variant if self.data is not None or v.scheme is None)
        return tuple(v for v in Variant if v in wanted)

    def limits_of(self, variant: Variant) -> Limits:
        """Return the limits of a variant; the budget of INT8 is `max_accuracy_drop`."""
        limits = self.limits[variant]
        return limits.model_copy(update={"max_accuracy_drop": self.max_accuracy_drop}) if variant.scheme else limits


def _over(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    slices = given.get(_SLICES)
    both = {_SLICES: {**defaults[_SLICES], **slices}} if isinstance(slices, Mapping) and _SLICES in defaults else {}
    return {**defaults, **given, **both}
