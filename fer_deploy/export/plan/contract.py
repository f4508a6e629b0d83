"""Build the contract of a network without ModelSpec from its graph's tensors and the requested shapes."""

from collections.abc import Mapping

from pydantic import ValidationError

from fer_deploy.errors import ArtifactError, ConfigError
from fer_deploy.export.graph.source import OnnxNetwork
from fer_deploy.manifest import InputContract, NetworkContract, OutputContract, ShapeRange, shape_text
from fer_deploy.spec import Precision, describe_faults


def require_shapes(network: OnnxNetwork, shapes: Mapping[str, ShapeRange]) -> None:
    """Compare the requested shapes with the graph's inputs, before a parser reads the graph.

    Raises:
        ConfigError: an input has no shapes, a name is unknown, or the graph does not accept the shapes.
    """
    for name in [*network.inputs, *shapes]:
        if name not in shapes or name not in network.inputs:
            raise ConfigError(
                f"input_shapes: given for {', '.join(shapes) or 'none'}, but {network.name} has the inputs "
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
                    f"input_shapes: {name} of {network.name} is {shape_text(info.shape)}, where N is free; "
                    f"{shape_text(shape)} does not fit. Fix: --input-shapes {name} with such shapes"
                )


def contract_of(network: OnnxNetwork, shapes: Mapping[str, ShapeRange], precision: Precision) -> NetworkContract:
    """Return the contract for the manifest.

    Raises:
        ArtifactError: the graph has tensors of an unsupported type, such as strings.
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
            f"cannot build {network.name}: plans do not support its tensors ({describe_faults(err, whole='tensors')}). "
            "Fix: run the .onnx as it is"
        ) from err


def _described(network: OnnxNetwork) -> str:
    return ", ".join(f"{name[:100]} ({shape_text(info.shape)})" for name, info in network.inputs.items())[:500]
