"""Separate the metrics in a ModelSpec: those of the file itself and those of its sources."""

from typing import Any

from fer_deploy.spec import ARTIFACT_METRICS as ARTIFACT
from fer_deploy.spec import ModelSpec

SOURCE_ONNX = "source_onnx"
"""Key of the metrics of the ONNX file that a plan was built from."""
CHECKPOINT = "checkpoint"
"""Key of the metrics of the PyTorch weights, as fer_train wrote them."""


def inherited_by_onnx(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a graph before its measurement; `spec` is that of a checkpoint or of another graph."""
    return _with_metrics(spec, {CHECKPOINT: spec.metrics.get(CHECKPOINT, spec.metrics)})


def inherited_by_plan(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a plan before its measurement; `spec` is that of its ONNX file."""
    return _with_metrics(
        spec,
        {
            SOURCE_ONNX: spec.metrics.get(ARTIFACT),
            CHECKPOINT: spec.metrics.get(CHECKPOINT, spec.metrics),
        },
    )


def measured(spec: ModelSpec, found: dict[str, Any]) -> ModelSpec:
    """Return the spec with the metrics of the file itself; see `Comparison.for_spec`."""
    return _with_metrics(spec, {ARTIFACT: found} | spec.metrics)


def _with_metrics(spec: ModelSpec, metrics: dict[str, Any]) -> ModelSpec:
    return spec.model_copy(update={"metrics": {name: values for name, values in metrics.items() if values}})
