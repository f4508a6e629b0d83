"""Metrics in a ModelSpec: what was measured of the file itself, apart from what was measured of its source."""

from typing import Any

from fer_deploy.spec import ModelSpec

ARTIFACT = "artifact"
"""Of the file that the spec stands in; absent where it was not run."""
SOURCE_ONNX = "source_onnx"
"""Of the ONNX that a plan was built from."""
CHECKPOINT = "checkpoint"
"""Of the PyTorch weights, as fer_train wrote them."""


def inherited_by_onnx(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a graph before it is measured; `spec` is that of a checkpoint or of another graph."""
    return _with_metrics(spec, {CHECKPOINT: spec.metrics.get(CHECKPOINT, spec.metrics)})


def inherited_by_plan(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a plan before it is measured; `spec` is that of its ONNX."""
    return _with_metrics(
        spec,
        {
            SOURCE_ONNX: spec.metrics.get(ARTIFACT),
            CHECKPOINT: spec.metrics.get(CHECKPOINT, spec.metrics),
        },
    )


def measured(spec: ModelSpec, found: dict[str, Any]) -> ModelSpec:
    """Return the spec with what was found of the file itself, see `Comparison.for_spec`."""
    return _with_metrics(spec, {ARTIFACT: found} | spec.metrics)


def _with_metrics(spec: ModelSpec, metrics: dict[str, Any]) -> ModelSpec:
    return spec.model_copy(update={"metrics": {name: values for name, values in metrics.items() if values}})
