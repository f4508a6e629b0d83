"""The contract of a network without ModelSpec: its graph's tensors, and the shapes that the user wants a plan for."""

from collections.abc import Mapping

from pydantic import ValidationError

from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.graph.source import OnnxNetwork
from fer_deploy.manifest import InputContract, NetworkContract, OutputContract, ShapeRange, shape_text
from fer_deploy.spec import Precision, describe_faults


def require_shapes(network: OnnxNetwork, shapes: Mapping[str, ShapeRange]) -> None:
    """Hold the shapes asked for against the graph's inputs, before a parser sees it.

    Raises:
        ConfigError: an input has no shapes, there is none of that name, or the graph does not take them.
    """
    for name in [*network.inputs, *shapes]:
        if name not in shapes or name not in network.inputs:
            raise ConfigError(
                f"input_shapes: given for {', '.join(shapes) or 'none'}, and {network.name} has the inputs "
                f"{_described(network)}. Fix: --input-shapes NAME MIN OPT MAX for each of them"
            )
    for name, info in network.inputs.items():
        wanted = shapes[name]
        for shape in (wanted.min, wanted.opt, wanted.max):
            fits = len(shape) == len(info.shape) and all(
                size in (None, asked) for size, asked in zip(info.shape, shape, strict=True)
            )
            if not fits:
                raise ConfigError(
                    f"input_shapes: {name} of {network.name} is {shape_text(info.shape)}, N being free, "
                    f"which {shape_text(shape)} is not. Fix: --input-shapes {name} with such shapes"
                )


def contract_of(network: OnnxNetwork, shapes: Mapping[str, ShapeRange], precision: Precision) -> NetworkContract:
    """Return what stands in the manifest.

    Raises:
        ArtifactError: the graph has tensors that plans of this project do not take, such as texts.
    """
    try:
        return NetworkContract(
            precision=precision,
            inputs={
                name: InputContract.model_validate({"dtype": info.dtype, **dict(shapes[name])})
                for name, info in network.inputs.items()
            },
            outputs={
                name: OutputContract.model_validate({"dtype": info.dtype, "shape": info.shape})
                for name, info in network.outputs.items()
            },
        )
    except ValidationError as err:
        raise ArtifactError(
            f"cannot build {network.name}: no plan takes its tensors ({describe_faults(err, whole='tensors')}). "
            "Fix: run the .onnx as it is"
        ) from err


def _described(network: OnnxNetwork) -> str:
    return ", ".join(f"{name[:100]} ({shape_text(info.shape)})" for name, info in network.inputs.items())[:500]
