"""Let YuNet's graph take bytes in place of floats: a frame on its way to a server has a quarter of the size."""

from typing import Any

from fer_deploy.engines.onnx_file.messages import FLOAT, INT, UINT8, parse_model
from fer_deploy.errors import ArtifactError


def taking_bytes(content: bytes, *, where: str, fix: str) -> bytes:
    """Return an ONNX file whose image is uint8; the graph converts it to float32, as which it gave the same numbers.

    Args:
        content: an ONNX file with one image, float32.
        where: names the file in the error.
        fix: ends the error's message.

    Raises:
        ArtifactError: it has another input.
    """
    model = parse_model(content)
    images = [] if model is None else _images(model.graph)
    if model is None or len(images) != 1 or images[0].type.tensor_type.elem_type != FLOAT:
        raise ArtifactError(f"cannot serve {where}: expected an ONNX file with one image of floats. Fix: {fix}")
    image, nodes = images[0], list(model.graph.node)
    floats = f"{image.name}/float"
    for node in nodes:
        node.input[:] = [floats if name == image.name else name for name in node.input]
    del model.graph.node[:]  # nodes are in the order in which they run
    cast = model.graph.node.add(input=[image.name], output=[floats], name=floats, op_type="Cast")
    cast.attribute.add(name="to", i=FLOAT, type=INT)
    model.graph.node.extend(nodes)
    image.type.tensor_type.elem_type = UINT8
    rewritten: bytes = model.SerializeToString()
    return rewritten


def _images(graph: Any) -> list[Any]:
    """Return the inputs that are no weights."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]
