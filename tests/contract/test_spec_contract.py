"""The two packages share data, not code: what fer_train writes, fer_deploy reads, and nothing is lost on the way."""

import json

import pytest

import fer_deploy.spec
import fer_train.checkpoint
import fer_train.spec
from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.export.verify.torch_engine import TorchEngine
from fer_deploy.spec import Precision, spec_from_json
from fer_train.config import TrainConfig
from fer_train.data.faces import EMOTIONS, FERPLUS_EMOTIONS
from fer_train.models import MODEL_NAMES


def test_same_key_and_version():
    assert fer_train.checkpoint.SPEC_KEY == fer_deploy.spec.SPEC_KEY
    assert fer_train.spec.SPEC_VERSION == fer_deploy.spec.SPEC_VERSION


def without_defaults(spec) -> dict:
    content = json.loads(spec.to_json())
    assert content.pop("precision") == "fp32"  # fer_train leaves these two to the default
    assert content.pop("temperature") == 1.0
    return content


def test_described_model_parses(tiny_spec):
    spec = spec_from_json(json.dumps(tiny_spec), where="here")
    assert spec.labels == EMOTIONS
    assert without_defaults(spec) == tiny_spec


@pytest.mark.parametrize("name", MODEL_NAMES)
@pytest.mark.parametrize("num_classes", [2, 7, 8])
def test_every_config_gives_a_readable_spec(three_faces, name, num_classes):
    described = fer_train.spec.describe_model(TrainConfig(model=name, num_classes=num_classes), three_faces, {})
    spec = spec_from_json(json.dumps(described), where="here")
    assert (spec.architecture, len(spec.labels)) == (name, num_classes)
    assert without_defaults(spec) == described


def test_every_field_survives_from_safetensors_to_the_engine(tiny_spec, tiny_release, tiny_onnx):
    with open_engine(tiny_onnx, device="cpu") as engine, TorchEngine.open(tiny_release, device="cpu") as reference:
        got, wanted = without_defaults(engine.spec), dict(tiny_spec)
        metrics = got.pop("metrics")
        assert metrics["checkpoint"] == wanted.pop("metrics")  # beside what was measured of the artifact itself
        assert metrics["artifact"]["num_faces"] > 0
        assert got == wanted
        assert engine.spec.model_copy(update={"metrics": reference.spec.metrics}) == reference.spec


@pytest.mark.parametrize(
    ("family", "labels", "name"),
    [
        ("ferplus", FERPLUS_EMOTIONS, "senet-ferplus"),
        ("nano-ferplus", FERPLUS_EMOTIONS, "nano-ferplus"),
        ("fer2013", EMOTIONS, "senet"),
    ],
)
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_bundled_models_have_the_labels_of_their_family(family, labels, name, precision):
    with open_engine(bundled_model(precision, family), device="cpu") as engine:
        assert engine.spec.labels == labels
        assert engine.spec.name == name  # by its label set
        assert engine.spec.architecture in MODEL_NAMES
