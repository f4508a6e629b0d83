"""What the plan builder refuses, with TensorRT for RTX's own parser and builder: every refusal names cause and mend."""

from pathlib import Path

import onnx
import pytest
from integration import plan_models
from integration.plan_models import RTX

from fer_deploy.errors import ArtifactError, ConfigError, ExportError
from fer_deploy.export.plan.build import build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.flavors import Flavor


class TestRefusals:
    """Every refusal names cause and mend, and writes nothing."""

    @pytest.fixture(autouse=True)
    def _nothing_written(self, tmp_path):
        yield
        assert not (tmp_path / "a.plan").exists()
        assert not (tmp_path / "a.plan.json").exists()

    def refusal(self, error: type[Exception], onnx_path: Path, config: BuildConfig = RTX) -> Exception:
        with pytest.raises(error) as caught:
            build_plan(onnx_path, onnx_path.with_name("a.plan"), config)
        assert "Fix: " in str(caught.value)
        assert "cudaError" not in str(caught.value)
        return caught.value

    def test_operator_that_tensorrt_lacks(self, tiny_models, save_model):
        err = self.refusal(ExportError, save_model(plan_models.replaced(tiny_models["fp32"], "node_stem_relu", "Det")))
        assert "node 4 'node_stem_relu' (Det): unsupported node: the parser does not know this operator" in str(err)
        assert "checkDet" in "".join(err.__notes__)

    def test_operator_that_nobody_knows(self, tiny_models, save_model):
        err = self.refusal(ExportError, save_model(plan_models.replaced(tiny_models["fp32"], "node_gate", "Nonsense")))
        assert "'node_gate' (Nonsense): invalid node" in str(err)
        assert "Plugin not found" in str(err)

    def test_types_that_do_not_meet(self, tiny_models, save_model):
        """What the float16 converter leaves behind where the graph began with a Cast."""
        model = onnx.ModelProto.FromString(tiny_models["fp16"].SerializeToString())
        (cast,) = [node for node in model.graph.node if node.name == "node_pixels"]
        cast.attribute[0].i = onnx.TensorProto.FLOAT
        err = self.refusal(ExportError, save_model(model))
        assert "node 1 'node_centered' (Sub): invalid node" in str(err)
        assert "must have same input types" in str(err)

    def test_foreign_domain(self, tiny_models, save_model):
        err = self.refusal(
            ArtifactError, save_model(plan_models.replaced(tiny_models["fp32"], "node_gate", "Sigmoid", "com.acme"))
        )
        assert "its node 'node_gate' is a Sigmoid of the domain 'com.acme'" in str(err)

    @pytest.mark.parametrize("opset", [7, 18, 23, 99])
    def test_foreign_opset(self, tiny_models, save_model, opset):
        model = plan_models.labelled(tiny_models["fp32"], "fp32")
        model.opset_import[0].version = opset
        assert f"its opset is {opset}, expected 19 to 22" in str(self.refusal(ArtifactError, save_model(model)))

    @pytest.mark.parametrize("content", [b"", b"hello world" * 10, None])
    def test_no_model(self, tiny_models, tmp_path, content):
        path = tmp_path / "tiny.onnx"
        path.write_bytes(tiny_models["fp32"].SerializeToString()[:-500] if content is None else content)
        self.refusal(ArtifactError, path)

    def test_missing(self, tmp_path):
        assert "no model at" in str(self.refusal(ArtifactError, tmp_path / "none.onnx"))

    def test_no_spec(self, tiny_models, save_model):
        model = plan_models.labelled(tiny_models["fp32"], "fp32")
        del model.metadata_props[:]
        text = str(self.refusal(ArtifactError, save_model(model)))
        assert "no ModelSpec" in text
        assert (
            "a network of another kind, such as a face detector, is built with fer-deploy build --input-shapes" in text
        )

    def test_no_spec_and_an_old_opset(self, tiny_models, save_model):
        """What a face detector is: the message names the flag, not the opset."""
        model = plan_models.labelled(tiny_models["fp32"], "fp32")
        del model.metadata_props[:]
        model.opset_import[0].version = 11
        assert "--input-shapes" in str(self.refusal(ArtifactError, save_model(model)))

    @pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.bin"])
    @pytest.mark.parametrize("place", ["initializer", "attribute", "subgraph"])
    def test_weights_in_another_file(self, tiny_models, save_model, location, place):
        model = plan_models.labelled(tiny_models["fp32"], "fp32")
        tensor = onnx.TensorProto(name="weight", dims=[4], data_type=onnx.TensorProto.FLOAT)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
        match place:
            case "initializer":
                model.graph.initializer.append(tensor)
            case "attribute":
                model.graph.node.append(constant)
            case "subgraph":
                branch = onnx.helper.make_graph([constant], "branch", [], [])
                model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch))
        err = self.refusal(ArtifactError, save_model(model))
        assert f"'weight' points to another file ('{location}')" in str(err)

    def test_other_input_name(self, tiny_models, save_model):
        model = plan_models.labelled(tiny_models["fp32"], "fp32")
        model.graph.input[0].name = "faces"
        model.graph.node[0].input[0] = "faces"
        err = self.refusal(ArtifactError, save_model(model))
        assert "inputs [('faces', 'uint8', ('N', 1, 48, 48))]" in str(err)
        assert "ModelSpec says [('images', 'uint8', ('N', 1, 48, 48))]" in str(err)

    def test_frozen_batch(self, tiny_models, save_model):
        model = plan_models.labelled(tiny_models["fp32"], "fp32")
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
        assert "('images', 'uint8', (2, 1, 48, 48))" in str(self.refusal(ArtifactError, save_model(model)))

    def test_workspace_too_small(self, tiny_models, save_model):
        config = RTX.model_copy(update={"workspace_mib": 1})
        err = self.refusal(ExportError, save_model(tiny_models["fp32"]), config)
        assert "within workspace limit" in str(err)
        assert "Fix: a larger --workspace-mib (now 1)" in str(err)
        assert err.__notes__[0].startswith("builder log:\n")
        assert "\nERROR: " in err.__notes__[0]

    def test_a_gpu_that_the_flavor_does_not_know(self, tiny_models, save_model):
        config = BuildConfig(flavor=Flavor.TENSORRT_RTX, compute_capabilities=("9.0",))
        err = self.refusal(ConfigError, save_model(tiny_models["fp32"]), config)
        assert "does not compile for 9.0, but for 7.5, 8.0, 8.6" in str(err)

    def test_suffix(self, tiny_models, save_model, tmp_path):
        with pytest.raises(ConfigError, match=r"out: a\.engine must end in \.plan") as caught:
            build_plan(save_model(tiny_models["fp32"]), tmp_path / "a.engine", RTX)
        assert str(caught.value).endswith(f"Fix: --out {tmp_path / 'a.plan'}")
        assert not (tmp_path / "a.engine").exists()
