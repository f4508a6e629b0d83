"""ModelSpec: what the runtime must know about a model, stored with every artifact as JSON.

fer_train writes it into a checkpoint's metadata; export copies it into the ONNX and the manifest of each plan. The
runtime has no label, size or mean as a constant.
"""

import math
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fer_deploy.errors import ArtifactError
from fer_deploy.files.value_faults import fault_in_words
from fer_deploy.privacy.portable_paths import without_folders

SPEC_KEY = "fer_model_spec"
"""Key of the JSON in safetensors metadata and in ONNX `metadata_props`."""
SPEC_VERSION = 1
MAX_SPEC_BYTES = 1_000_000
"""Size limit of the JSON; training writes a few thousand bytes."""
OUTPUT_NAME = "logits"
ARTIFACT_METRICS = "artifact"
"""Key of the metrics of the file that contains the spec; absent if the file was not run when it was made."""
VARIANT_KEY = "fer_variant"
"""Key in an ONNX file's `metadata_props` of the kind of its graph: fp32, fp16, int8 (for TensorRT) or int8-cpu."""
UNSURE = "unsure"
"""Shown instead of a label below the threshold; no label may have this name."""
UNREADABLE = "unreadable"
"""Shown instead of a label where a face cannot be read; no label may have this name."""
_JOINERS = str.maketrans("", "", "\u200c\u200d")
"""Zero-width characters that some scripts need inside a word; all other invisible characters are refused."""


class Precision(StrEnum):
    """Arithmetic of a graph's convolutions; a property of the file, never a runtime switch."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(_Frozen):
    """The network's one input: (N, channels, height, width) of `dtype`, normalized inside the graph."""

    name: str
    height: int = Field(ge=1, le=4096, description="pixels")
    width: int = Field(ge=1, le=4096, description="pixels")
    channels: Literal[1]
    dtype: Literal["uint8"]
    color: Literal["gray"]
    mean: float = Field(allow_inf_nan=False, description="of pixels in 0 to 255, subtracted inside the graph")
    std: float = Field(gt=0, allow_inf_nan=False, description="of pixels in 0 to 255, divided by inside the graph")


class ModelSpec(_Frozen):
    """Contract and provenance of one model. `labels[i]` is the meaning of logit i."""

    spec_version: Literal[1] = Field(description="of this format")
    architecture: str = Field(description='such as "senet"')
    labels: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        min_length=2, max_length=10_000, description="in the order of the logits"
    )
    label_set: Literal["fer2013", "ferplus"] | None = Field(
        default=None, description="labels that the model was trained on: FER2013's, or the votes of FER+; None: unknown"
    )
    input: InputSpec = Field(description="`name`, `height`, `width`, `channels`, `dtype`, `color`, `mean`, `std`")
    precision: Precision = Field(default=Precision.FP32, description='"fp32", "fp16" or "int8": of the graph')
    temperature: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, description="probabilities are softmax(logits / temperature)"
    )
    unsure_below: float | None = Field(
        default=None, ge=0, le=1, description="confidence below which the answer is wrong more often than right"
    )
    metrics: dict[str, Any] = Field(default_factory=dict, description="what was measured, by split")
    provenance: dict[str, Any] = Field(
        default_factory=dict, description="data, settings, date and hardware of the training"
    )
    quantization: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = Field(
        default=None, description="max|input| by layer, learned in training; scale = value / 127. None: not learned"
    )

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError(f"labels must differ from each other, found {str(labels)[:200]}")
        return labels

    @field_validator("provenance")
    @classmethod
    def _names_files_only(cls, provenance: dict[str, Any]) -> dict[str, Any]:
        """Remove the folders that older checkpoints name, so that no export repeats them."""
        kept: dict[str, Any] = without_folders(provenance)
        return kept

    @field_validator("labels")
    @classmethod
    def _labels_can_be_shown(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse control characters: labels are printed in terminals, pages, CSV files and metrics."""
        for label in labels:
            if not label.strip() or label != label.strip():
                raise ValueError(f"a label must be a word without blanks around it, found {label[:50]!a}")
            if not label.translate(_JOINERS).isprintable():
                raise ValueError(f"a label must have no control character, found {label[:50]!a}")
            if label.casefold() in (UNSURE, UNREADABLE):
                raise ValueError(f"no label may be called {label!r}: this is shown where no emotion is")
        return labels

    @field_validator("metrics", "provenance")
    @classmethod
    def _numbers_are_finite(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse NaN and infinity: JSON has neither, and a NaN accuracy means that nothing was measured."""
        if (place := _place_of_nan(values)) is not None:
            raise ValueError(f"{place[:100]} is not a finite number")
        return values

    @property
    def name(self) -> str:
        """Name of this model's files: "senet" with FER2013's labels, "senet-ferplus" with FER+'s."""
        return f"{self.architecture}-ferplus" if self.label_set == "ferplus" else self.architecture

    def to_json(self) -> str:
        """Return the JSON that `spec_from_json` reads; fields that are None are omitted."""
        return self.model_dump_json(exclude_none=True)


def _place_of_nan(value: Any, place: str = "") -> str | None:
    """Return the place of the first number that is not finite, such as "PublicTest.loss", or None."""
    if isinstance(value, float):
        return None if math.isfinite(value) else place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    inner = (_place_of_nan(part, f"{place}.{key}".lstrip(".")) for key, part in items)
    return next((found for found in inner if found is not None), None)


def spec_from_json(text: str, *, where: str) -> ModelSpec:
    """Parse and validate a ModelSpec; `where` names its file in errors.

    Raises:
        ArtifactError: not JSON, too long, a field that is missing, unknown or of another type, or a newer
            spec_version.
    """
    if len(text) > MAX_SPEC_BYTES:
        raise ArtifactError(
            f"cannot use {where}: its ModelSpec has {len(text):,} characters, expected at most {MAX_SPEC_BYTES:,}. "
            "Fix: export the checkpoint again with this version of fer-deploy"
        )
    try:
        return ModelSpec.model_validate_json(text)
    except ValidationError as err:
        faults = describe_faults(err, whole="spec")
        raise ArtifactError(
            f"cannot use {where}: its ModelSpec is not one that this version reads ({faults}). "
            "Fix: export the checkpoint again with this version of fer-deploy"
        ) from err


def describe_faults(err: ValidationError, *, whole: str) -> str:
    """Return the first five faults as short text; `whole` names the document in a fault without a field."""
    faults = err.errors(include_url=False, include_input=False)[:5]
    messages = [fault_in_words(fault)[:300] for fault in faults]
    places = [".".join(map(str, fault["loc"]))[:100] or whole for fault in faults]
    return "; ".join(f"{place}: {message}" for place, message in zip(places, messages, strict=True))
