"""What the file of a variant says of itself."""

import json

import onnx
import pytest
from integration import plan_models

from fer_deploy.engines import open_engine
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.variants import QUANTIZATION_KEY, Variant, artifact_of
from fer_deploy.spec import SPEC_KEY, VARIANT_KEY, spec_from_json

RECORD = {"scheme": "cpu", "float_layers": ["stem.0"]}


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    """With something of the quantizer's in its metadata."""
    made = plan_models.fp32_model()
    made.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    return made


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {prop.key: prop.value for prop in model.metadata_props}


@pytest.mark.parametrize(
    ("variant", "precision", "scheme", "plan"),
    [
        ("fp32", "fp32", None, True),
        ("fp16", "fp16", None, True),
        ("int8", "int8", Scheme.TENSORRT, True),
        ("int8-cpu", "int8", Scheme.CPU, False),
    ],
)
def test_what_a_variant_is(model, variant, precision, scheme, plan):
    variant = Variant(variant)
    artifact = artifact_of(model, plan_models.make_spec("fp32"), variant, {})
    assert (variant.precision, variant.scheme, variant.is_for_tensorrt) == (precision, scheme, plan)
    assert artifact.name == f"tiny-{variant}.onnx"
    assert artifact.spec == plan_models.make_spec(precision)
    found = metadata(artifact.model)
    assert spec_from_json(found[SPEC_KEY], where="x") == artifact.spec
    assert found[VARIANT_KEY] == variant.value
    assert set(found) == {SPEC_KEY, VARIANT_KEY}


def test_how_int8_came_about(model):
    artifact = artifact_of(model, plan_models.make_spec("fp32"), Variant.INT8_CPU, RECORD)
    assert json.loads(metadata(artifact.model)[QUANTIZATION_KEY]) == artifact.record == RECORD


CHECKPOINT = {"PublicTest": {"plain": {"accuracy": 0.67}}}


class TestMetrics:
    @pytest.fixture
    def spec(self):
        return plan_models.make_spec("fp32").model_copy(update={"metrics": CHECKPOINT})

    def test_a_file_that_was_not_measured_claims_nothing(self, model, spec):
        assert artifact_of(model, spec, Variant.FP16, {}).spec.metrics == {"checkpoint": CHECKPOINT}

    def test_measured(self, model, spec):
        artifact = artifact_of(model, spec, Variant.INT8_CPU, RECORD).measured({"accuracy": 0.66})
        assert artifact.spec.metrics == {"artifact": {"accuracy": 0.66}, "checkpoint": CHECKPOINT}
        found = metadata(artifact.model)
        assert spec_from_json(found[SPEC_KEY], where="x") == artifact.spec
        assert (found[VARIANT_KEY], json.loads(found[QUANTIZATION_KEY])) == ("int8-cpu", RECORD)

    def test_what_is_made_of_a_measured_graph_does_not_inherit_its_figures(self, model, spec):
        fp32 = artifact_of(model, spec, Variant.FP32, {}).measured({"accuracy": 0.67})
        assert artifact_of(fp32.model, fp32.spec, Variant.FP16, {}).spec.metrics == {"checkpoint": CHECKPOINT}


def test_the_given_graph_keeps_its_own(model):
    before = model.SerializeToString()
    artifact_of(model, plan_models.make_spec("fp32"), Variant.INT8, RECORD)
    assert model.SerializeToString() == before


@pytest.mark.parametrize(("variant", "warned"), [(Variant.INT8, True), (Variant.INT8_CPU, False)])
def test_the_engine_knows_the_variant(model, tmp_path, caplog, variant, warned):
    """The INT8 graph for TensorRT is slow on a CPU; its user is told which file to take."""
    path = tmp_path / "a.onnx"
    onnx.save(artifact_of(model, plan_models.make_spec("fp32"), variant, RECORD).model, path)
    with open_engine(path, device="cpu") as engine:
        assert engine.spec.precision == "int8"
    assert ("Fix: open tiny-int8-cpu.onnx instead" in caplog.text) is warned
