"""Define the variants of a checkpoint, and write their metadata into ONNX graphs."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import onnx

from fer_deploy.export.graph.source_traces import strip_traces
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.measured import inherited_by_onnx, measured
from fer_deploy.spec import SPEC_KEY, VARIANT_KEY, ModelSpec, Precision

QUANTIZATION_KEY = "fer_quantization"
"""Key in `metadata_props` of the JSON record of INT8: calibration, float layers, layer costs."""

RUNAWAY_KEY = "runaway_layers"
"""Key in that record and in the spec's metrics: layers whose activations leave their range on degraded faces."""


class Variant(StrEnum):
    """Kind of graph that an export can write."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    INT8_CPU = "int8-cpu"

    @property
    def precision(self) -> Precision:
        """Return the precision of its convolutions."""
        return Precision.INT8 if self is Variant.INT8_CPU else Precision(self.value)

    @property
    def scheme(self) -> Scheme | None:
        """Return the layout of its integers; None: it has none."""
        return {Variant.INT8: Scheme.TENSORRT, Variant.INT8_CPU: Scheme.CPU}.get(self)

    @property
    def is_for_tensorrt(self) -> bool:
        """Return whether a plan can be built from it."""
        return self is not Variant.INT8_CPU


@dataclass(frozen=True, eq=False)
class Artifact:
    """One graph, ready to be verified and written.

    Attributes:
        variant: kind of the graph.
        model: graph with ModelSpec, variant and record in its metadata.
        spec: ModelSpec of this variant.
        record: record of INT8; empty for other variants.
    """

    variant: Variant
    model: onnx.ModelProto
    spec: ModelSpec
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the file name, such as "net-int8-cpu.onnx"."""
        return f"{self.spec.name}-{self.variant}.onnx"

    def measured(self, found: dict[str, Any]) -> "Artifact":
        """Return the same graph with measured metrics and the names of runaway layers in its spec."""
        if runaway := [layer["layer"] for layer in self.record.get(RUNAWAY_KEY, ())]:
            found = found | {RUNAWAY_KEY: runaway}
        return _described(self.model, measured(self.spec, found), self.variant, self.record)


def artifact_of(model: onnx.ModelProto, spec: ModelSpec, variant: Variant, record: dict[str, Any]) -> Artifact:
    """Return the graph with the metadata of its variant, replacing the quantizer's."""
    precise = inherited_by_onnx(spec).model_copy(update={"precision": variant.precision})
    return _described(model, precise, variant, record)


def _described(model: onnx.ModelProto, spec: ModelSpec, variant: Variant, record: dict[str, Any]) -> Artifact:
    metadata = {SPEC_KEY: spec.to_json(), VARIANT_KEY: variant.value}
    if record:
        metadata[QUANTIZATION_KEY] = json.dumps(record)
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.metadata_props[:]
    strip_traces(found)
    onnx.helper.set_model_props(found, metadata)
    return Artifact(variant, found, spec, record)
