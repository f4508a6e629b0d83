"""Remove traces of the source code from a graph: stack traces with local paths."""

from collections.abc import Iterable
from typing import Any, Final

import onnx

SCOPES_KEY: Final = "pkg.torch.onnx.name_scopes"
"""Metadata key of a node: its enclosing modules, outermost first, and its own name, as a Python list literal."""


def strip_traces(model: onnx.ModelProto) -> None:
    """Remove `doc_string` and metadata from nodes, values and graphs, in place, except for the names of modules.

    torch.onnx writes a stack trace into each node's metadata; its older exporter writes it into `doc_string`.
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
