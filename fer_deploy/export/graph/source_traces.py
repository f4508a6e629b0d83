"""Remove what exporters write into a graph about the source code: stack traces with paths of the machine."""

from collections.abc import Iterable
from typing import Any, Final

import onnx

SCOPES_KEY: Final = "pkg.torch.onnx.name_scopes"
"""Of a node: the modules around it, outermost first, and its own name; a list in Python's notation."""


def strip_traces(model: onnx.ModelProto) -> None:
    """Remove them in place: PyTorch's notes on nodes, values and graph, but the names of modules; and node comments.

    torch.onnx writes a stack trace into each node's metadata, its older exporter into `doc_string`.
    """
    graphs: list[Any] = [model.graph, *model.functions]
    for graph in graphs:
        _strip(graph)
        for node in graph.node:
            _strip(node)
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
            graphs += [inner for attribute in node.attribute for inner in attribute.graphs]
        for value in (
            *_of(graph, "value_info"),
            *_of(graph, "input"),
            *_of(graph, "output"),
            *_of(graph, "initializer"),
        ):
            _strip(value)


def _of(graph: Any, field: str) -> Iterable[Any]:
    """Return the entries of a field; a function's inputs and outputs are bare names."""
    return (entry for entry in getattr(graph, field, ()) if not isinstance(entry, str))


def _strip(entry: Any) -> None:
    if hasattr(entry, "doc_string"):
        entry.ClearField("doc_string")
    kept = [(one.key, one.value) for one in entry.metadata_props if one.key == SCOPES_KEY]
    del entry.metadata_props[:]
    for key, value in kept:
        entry.metadata_props.add(key=key, value=value)
