"""Protobuf messages to read and rewrite the graph of an ONNX file without the onnx package, which the runtime lacks.

Fields that are not listed here are preserved. Source: onnx.proto of ONNX 1.18. Protobuf comes with ONNX Runtime.
"""

from functools import cache
from typing import Any

from fer_deploy.errors import MissingDependencyError

try:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import DecodeError
    from google.protobuf.message_factory import GetMessageClass
except ModuleNotFoundError as err:  # `import fer_deploy` alone does not come here
    raise MissingDependencyError(
        "protobuf is not installed, which the extras of ONNX Runtime bring. Fix: pip install 'fer-toolchain[cpu]', or "
        "with [gpu] in place of [cpu]"
    ) from err

FLOAT, UINT8 = 1, 2
"""Values of TensorProto.DataType."""
INT, INTS = 2, 7
"""Values of AttributeProto.AttributeType."""
_PACKAGE = "fer_onnx"
_TEXT, _BYTES, _INT64, _INT32 = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_INT32,
)
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "Model": {"graph": (7, "Graph", False), "metadata_props": (14, "Property", True)},
    "Property": {"key": (1, _BYTES, False), "value": (2, _BYTES, False)},
    "Graph": {
        "node": (1, "Node", True),
        "initializer": (5, "Tensor", True),
        "input": (11, "ValueInfo", True),
        "output": (12, "ValueInfo", True),
        "value_info": (13, "ValueInfo", True),
    },
    "Node": {
        "input": (1, _TEXT, True),
        "output": (2, _TEXT, True),
        "name": (3, _TEXT, False),
        "op_type": (4, _TEXT, False),
        "attribute": (5, "Attribute", True),
    },
    "Attribute": {
        "name": (1, _TEXT, False),
        "i": (3, _INT64, False),
        "ints": (8, _INT64, True),
        "type": (20, _INT32, False),
    },
    "Tensor": {
        "dims": (1, _INT64, True),
        "data_type": (2, _INT32, False),
        "name": (8, _TEXT, False),
        "raw_data": (9, _BYTES, False),
    },
    "ValueInfo": {"name": (1, _TEXT, False), "type": (2, "Type", False)},
    "Type": {"tensor_type": (1, "TensorType", False)},
    "TensorType": {"elem_type": (1, _INT32, False), "shape": (2, "Shape", False)},
    "Shape": {"dim": (1, "Dimension", True)},
    "Dimension": {"dim_value": (1, _INT64, False), "dim_param": (2, _TEXT, False)},
}
"""Number, type and whether it is repeated, by name, for the fields of each message."""


def parse_model(content: bytes) -> Any | None:
    """Return the Model, whose `SerializeToString` gives its bytes; None if this is not an ONNX file."""
    try:
        return _class_of("Model").FromString(content)
    except DecodeError:
        return None


def metadata_of(content: bytes) -> dict[str, str]:
    """Return the texts in an ONNX file's `metadata_props`; none if this is not an ONNX file."""
    model = parse_model(content)
    found = () if model is None else model.metadata_props
    return {one.key.decode(errors="replace"): one.value.decode(errors="replace") for one in found}


@cache
def _class_of(name: str) -> Any:
    file = FileDescriptorProto(name="fer_onnx.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for field, (number, kind, is_repeated) in fields.items():
            label = FieldDescriptorProto.LABEL_REPEATED if is_repeated else FieldDescriptorProto.LABEL_OPTIONAL
            if isinstance(kind, str):
                described.field.add(
                    name=field,
                    number=number,
                    label=label,
                    type=FieldDescriptorProto.TYPE_MESSAGE,
                    type_name=f".{_PACKAGE}.{kind}",
                )
            else:
                described.field.add(name=field, number=number, label=label, type=kind)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
