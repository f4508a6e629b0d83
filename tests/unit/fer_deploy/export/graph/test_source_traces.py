import onnx
from onnx import TensorProto, helper

from fer_deploy.export.graph.source_traces import SCOPES_KEY, strip_traces

TRACE = 'File "/home/bob/fer/net.py", line 27, in forward'


def traced_model():
    """Return a graph with a trace at every place that has room for one, also in a graph within a node."""
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"], doc_string=TRACE)],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["y"], doc_string=TRACE),
        helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y", "w")]
    graph = helper.make_graph(nodes, "outer", [values[0]], [values[1]], doc_string=TRACE, value_info=[values[2]])
    model = helper.make_model(graph)
    for entry in (model.graph, *model.graph.node, *model.graph.node[1].attribute[0].g.node, *model.graph.value_info):
        entry.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=TRACE)
    model.graph.node[0].metadata_props.add(key=SCOPES_KEY, value="['', 'model']")
    return model


def test_only_the_names_of_modules_are_left():
    model = traced_model()
    strip_traces(model)
    assert b"bob" not in model.SerializeToString()
    assert [(one.key, one.value) for one in model.graph.node[0].metadata_props] == [(SCOPES_KEY, "['', 'model']")]
    assert [node.op_type for node in model.graph.node] == ["Relu", "If"]


def test_an_export_holds_no_trace(tiny_onnx, repo_dir):
    content = tiny_onnx.read_bytes()
    assert b"stack_trace" not in content
    assert str(repo_dir).encode() not in content
    assert any(prop.key == SCOPES_KEY for node in onnx.load(tiny_onnx).graph.node for prop in node.metadata_props)
