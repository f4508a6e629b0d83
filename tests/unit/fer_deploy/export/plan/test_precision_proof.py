import json

import pytest

from fer_deploy.errors import ExportError
from fer_deploy.export.plan.precision_proof import (
    LayerTypes,
    precision_of,
    require_declared,
    require_kept,
    targets_of_plan,
    types_of_inspector,
    types_of_plan,
)
from fer_deploy.spec import Precision


def declare(convolutions: dict[str, int], precision: str) -> None:
    require_declared(LayerTypes(convolutions, {}), Precision(precision), where="a.onnx", fix="export")


class TestDeclared:
    @pytest.mark.parametrize(
        ("convolutions", "precision"),
        [
            ({"Float": 8}, "fp32"),
            ({"Half": 8}, "fp16"),
            ({"Half": 1, "Float": 7}, "fp16"),
            ({"Int8": 2}, "int8"),
            ({"Int8": 4, "Half": 4}, "int8"),
            ({"Half": 5, "Int8": 1, "Float": 2}, "int8"),
        ],
    )
    def test_agrees(self, convolutions, precision):
        declare(convolutions, precision)

    @pytest.mark.parametrize(
        ("convolutions", "precision"),
        [
            ({"Float": 8}, "fp16"),
            ({"Float": 8}, "int8"),
            ({"Half": 8}, "int8"),
            ({"Half": 8}, "fp32"),
            ({"Float": 7, "Half": 1}, "fp32"),
            ({"Int8": 1, "Half": 7}, "fp16"),
            ({"Bfloat16": 4, "Half": 4}, "fp16"),
        ],
    )
    def test_differs(self, convolutions, precision):
        with pytest.raises(ExportError, match=rf"a\.onnx says precision {precision}, but .* of 8 .*Fix: export"):
            declare(convolutions, precision)

    def test_nothing_to_prove(self):
        with pytest.raises(ExportError, match=r"a\.onnx has no convolution, so its precision cannot be proved"):
            declare({}, "fp32")


class TestOfANetworkThatDeclaresNone:
    @pytest.mark.parametrize(
        ("convolutions", "precision"),
        [({"Float": 8}, "fp32"), ({"Half": 3, "Float": 5}, "fp16"), ({"Int8": 4, "Half": 4}, "int8")],
    )
    def test_is_what_could_be_declared(self, convolutions, precision):
        assert precision_of(LayerTypes(convolutions, {}), where="a.onnx", fix="export") == precision
        declare(convolutions, precision)

    @pytest.mark.parametrize("convolutions", [{}, {"Bfloat16": 8}, {"Float": 7, "Bfloat16": 1}])
    def test_cannot_be_proved(self, convolutions):
        with pytest.raises(
            ExportError, match=r"a\.onnx has the convolutions .*to prove a precision, at least one .*Fix: export"
        ):
            precision_of(LayerTypes(convolutions, {}), where="a.onnx", fix="export")


class TestKept:
    def kept(self, compiled: LayerTypes, asked: LayerTypes) -> None:
        require_kept(compiled, asked, where="a.plan", fix="rebuild")

    @pytest.mark.parametrize("compiled", [{"Int8": 6, "Half": 2}, {"Int8": 5, "Half": 2}, {"Int8": 1}])
    def test_as_asked_or_merged(self, compiled):
        self.kept(LayerTypes(compiled, {}), LayerTypes({"Int8": 6, "Half": 2}, {}))

    def test_half_of_the_layers_in_higher_precision(self):
        names = {f"conv{number}": "Int8" if number < 4 else "Half" for number in range(8)}
        types = LayerTypes({"Int8": 4, "Half": 4}, {}, names)
        self.kept(types, types)

    @pytest.mark.parametrize("compiled", [{"Int8": 5, "Half": 3}, {"Int8": 8}, {"Float": 1}])
    def test_another_number_of_a_type(self, compiled):
        with pytest.raises(ExportError, match=r"6 Int8, 2 Half, the compiled ones .*\. Fix: rebuild"):
            self.kept(LayerTypes(compiled, {}), LayerTypes({"Int8": 6, "Half": 2}, {}))

    def test_two_layers_that_changed_places(self):
        """The numbers are the same; the names tell."""
        asked = LayerTypes({"Int8": 1, "Half": 1}, {}, {"stem": "Half", "last": "Int8"})
        compiled = LayerTypes({"Int8": 1, "Half": 1}, {}, {"stem": "Int8", "last": "Half"})
        with pytest.raises(
            ExportError, match=r"^a\.plan: stem is Int8 instead of Half, last is Half instead of Int8; the net"
        ):
            self.kept(compiled, asked)

    def test_many_layers_are_not_all_named(self):
        asked = {f"conv{number}": "Int8" for number in range(8)}
        with pytest.raises(ExportError, match=r"conv4 is Half instead of Int8 and 3 more; the network's"):
            self.kept(LayerTypes({"Half": 8}, {}, dict.fromkeys(asked, "Half")), LayerTypes({"Int8": 8}, {}, asked))


def inspected(*layers: object) -> LayerTypes | None:
    return types_of_inspector(json.dumps({"Layers": list(layers)}))


def layer(kind: str, data: str, **more: object) -> dict[str, object]:
    """One layer as TensorRT's documentation of the inspector shows it."""
    tensor = [{"Name": "x", "Dimensions": [4, 8, 24, 24], "Format/Datatype": data}]
    return {"Name": "x", "LayerType": kind, "Inputs": tensor, "Outputs": tensor, **more}


class TestInspector:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("Row major linear FP16 format", "Half"),
            ("Thirty-two wide channel vectorized row major Int8 format.", "Int8"),
            ("Channel major FP32 format where channel % 4 == 0", "Float"),
            ("Half", "Half"),
            ("Float", "Float"),
        ],
    )
    def test_wordings(self, text, name):
        found = inspected(layer("CaskConvolution", text), layer("CaskPooling", text))
        assert found == LayerTypes({name: 1}, {name: 2})

    def test_weights_speak_for_a_convolution(self):
        first = layer("CaskConvolution", "Row major linear FP32", Weights={"Type": "Int8", "Count": 288})
        assert inspected(first).convolutions == {"Int8": 1}

    def test_data_type_of_tensorrt_11(self):
        tensor = [{"Name": "x", "DataType": "Half"}]
        assert inspected({"LayerType": "conv", "Inputs": tensor, "Outputs": tensor}).convolutions == {"Half": 1}

    def test_names_of_a_fused_layer(self):
        metadata = "[ONNX Layer: node_stem]\x1f[ONNX Layer: node_relu]"
        assert inspected(layer("CaskConvolution", "Half", Metadata=metadata)).by_name["node_stem"] == "Half"

    @pytest.mark.parametrize(
        "layers",
        [["node_conv", "node_relu"], [], [layer("kgen", "Half")], [layer("conv", "N/A due to dynamic shapes")]],
    )
    def test_no_witness(self, layers):
        assert inspected(*layers) is None


class TestPlan:
    TEXT = (
        b'\x00\n  tensor={ dims={ 1 } name="in" offset=0 type=int8 }\n  tensor={ name="out" strides={ 1 } type=half }\n'
        b'  accelerators={sm86 sm120 }\n  memset={ name="m" output={"in" } }\n'
        b'  corrltn={ name="node" output={"out" } input={"in" "weights" } stream=0 }\n\xff'
    )

    def test_convolution_counts_by_its_input(self):
        found = types_of_plan(self.TEXT)
        assert found == LayerTypes({"Int8": 1}, {"Half": 1})
        assert found.by_name == {"node": "Int8"}

    def test_targets(self):
        assert targets_of_plan(self.TEXT) == ("8.6", "12.0")

    @pytest.mark.parametrize("plan", [b"", b"\x00" * 100, TEXT.replace(b'name="in"', b'name="other"')])
    def test_other_format_is_no_witness(self, plan):
        assert types_of_plan(plan) is None

    def test_unknown_target(self):
        assert targets_of_plan(b"accelerators={*}") is None
