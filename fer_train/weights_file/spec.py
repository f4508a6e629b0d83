"""Parse and validate the ModelSpec of a released checkpoint before a model is built."""

import json
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fer_train.files.value_faults import fault_in_words

MAX_SPEC_CHARS = 1_000_000
"""Limit of the JSON; training writes about twenty thousand."""
MAX_LABELS = 10_000
MAX_LABEL_CHARS = 200
_NUM_FAULTS = 3
_ORIGIN = ("created", "fer_train", "torch", "data_sha256", "num_faces", "config")
_ORIGIN_CONFIG = ("protocol", "train_split", "validation_split", "seed")

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(allow_inf_nan=False, gt=0)]


class _Checked(BaseModel):
    """Model whose unknown fields are kept unchanged."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Input(_Checked):
    height: int = Field(ge=16, le=512)
    width: int = Field(ge=16, le=512)
    mean: _Number
    std: _Positive
    channels: Literal[1] = 1
    color: Literal["gray"] = "gray"

    @model_validator(mode="after")
    def _is_square(self) -> "_Input":
        if self.height != self.width:
            raise ValueError(f"faces are square, height is {self.height} and width {self.width}")
        return self


class _Config(_Checked):
    protocol: Literal["clean", "official"] | None = None
    train_split: str | None = None
    validation_split: str | None = None
    labels: Literal["fer2013", "ferplus"] | None = None


class _Provenance(_Checked):
    config: _Config = _Config()


class _Spec(_Checked):
    architecture: str = Field(min_length=1, max_length=100)
    labels: list[str] = Field(min_length=2, max_length=MAX_LABELS)
    input: _Input
    label_set: Literal["fer2013", "ferplus"] | None = None
    temperature: _Positive = 1.0
    quantization: dict[str, _Positive] | None = None
    metrics: dict[str, Any] = {}
    provenance: _Provenance = _Provenance()

    @field_validator("labels")
    @classmethod
    def _labels_are_names(cls, labels: list[str]) -> list[str]:
        for number, label in enumerate(labels):
            if not label.strip() or len(label) > MAX_LABEL_CHARS or not label.isprintable():
                raise ValueError(
                    f"label {number} is {label[:40]!r}; expected 1 to {MAX_LABEL_CHARS} printable characters"
                )
            if label.casefold() in ("unsure", "unreadable"):
                raise ValueError(f"a label must not be called {label!r}: that is shown where no emotion is")
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise ValueError(f"the label {twice[:40]!r} occurs twice")
        return labels


def parse_spec(text: str) -> dict[str, Any]:
    """Return a ModelSpec as plain data; metrics and provenance always exist, empty if the text has none.

    Raises:
        ValueError: not JSON, too long, or a field is missing, of another type, or out of range; the message is one
            line.
    """
    if len(text) > MAX_SPEC_CHARS:
        raise ValueError(f"its ModelSpec has {len(text):,} characters, expected at most {MAX_SPEC_CHARS:,}")
    try:
        spec = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as err:
        raise ValueError("its ModelSpec nests too deeply") from err
    if not isinstance(spec, dict):
        raise ValueError(f"its ModelSpec is a {type(spec).__name__}, expected an object")
    try:
        _Spec.model_validate(spec)
    except ValidationError as err:
        raise ValueError("; ".join(_describe(fault) for fault in err.errors(include_url=False)[:_NUM_FAULTS])) from err
    return {"metrics": {}, "provenance": {}} | spec


def missing_origin(spec: dict[str, Any]) -> list[str]:
    """Return the names of provenance fields that a model card needs and the spec lacks; empty for fer-train's own."""
    provenance = spec["provenance"]
    config = provenance.get("config") or {}
    return [name for name in _ORIGIN if name not in provenance] + [
        f"config.{name}" for name in _ORIGIN_CONFIG if config.get(name) is None
    ]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"its ModelSpec holds {name}, expected finite numbers")


def _describe(fault: Any) -> str:
    place = ".".join(map(str, fault["loc"]))[:100]
    return f"{place}: {fault_in_words(fault)[:300]}"
