"""Write a PyTorch graph with its ModelSpec to one checked ONNX file with a fixed opset and a dynamic batch."""

import warnings
from pathlib import Path

import onnx
import torch
from onnx import checker, shape_inference

from fer_deploy.errors import ExportError
from fer_deploy.export.graph.source_traces import strip_traces
from fer_deploy.export.verify.torch_engine import DeployedGraph
from fer_deploy.spec import OUTPUT_NAME, SPEC_KEY, ModelSpec


def write_onnx(graph: DeployedGraph, spec: ModelSpec, path: Path, *, opset: int) -> None:
    """Export to `path`.

    Args:
        graph: graph in eval mode, on the CPU.
        spec: ModelSpec, written into `metadata_props`.
        path: the `.onnx` file to write.
        opset: opset of the ONNX standard operators.

    Raises:
        ExportError: the exporter, `onnx.checker` or strict shape inference refuse the graph, or the result has
            another opset or external data.
    """
    example = torch.zeros((2, spec.input.channels, spec.input.height, spec.input.width), dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations, which a user cannot fix
            program = torch.onnx.export(
                graph,
                (example,),
                dynamo=True,
                opset_version=opset,
                verbose=False,
                input_names=[spec.input.name],
                output_names=[OUTPUT_NAME],
                dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            )
    except Exception as err:  # torch.export passes on any exception of the traced code
        raise ExportError(f"PyTorch cannot export the architecture {spec.architecture!r}: {err}") from err
    assert program is not None
    model = program.model_proto
    strip_traces(model)
    onnx.helper.set_model_props(model, {SPEC_KEY: spec.to_json()})
    _check(model, opset)
    onnx.save_model(model, path)


def _check(model: onnx.ModelProto, opset: int) -> None:
    try:
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (checker.ValidationError, shape_inference.InferenceError) as err:
        raise ExportError(f"the exported graph is not valid ONNX: {err}") from err
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") != opset:
        raise ExportError(
            f"opset {opset} was requested, the exporter wrote {versions}. Fix: --opset {versions.get('')}"
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ExportError("the exporter put weights into an external file, expected one self-contained .onnx")
