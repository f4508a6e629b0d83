import json

import pytest

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.errors import ArtifactError
from fer_deploy.spec import Precision, spec_from_json

CONTENT = json.loads(FAKE_SPEC.to_json())


def parse(**changes):
    return spec_from_json(json.dumps({**CONTENT, **changes}), where="net.onnx")


def test_round_trip():
    assert spec_from_json(FAKE_SPEC.to_json(), where="x") == FAKE_SPEC
    spec = parse(metrics={"accuracy": 0.1 + 0.2}, provenance={"config": {"seed": 0, "name": "ä"}}, precision="int8")
    assert spec_from_json(spec.to_json(), where="x") == spec
    assert spec.precision is Precision.INT8


def test_precision_defaults_to_fp32():
    without = {key: value for key, value in CONTENT.items() if key != "precision"}
    assert spec_from_json(json.dumps(without), where="x").precision is Precision.FP32


def test_learned_ranges_are_read_and_an_absent_field_is_not_written():
    spec = parse(quantization={"features.0.0": 2.5, "classifier": 0.75})
    assert spec.quantization == {"features.0.0": 2.5, "classifier": 0.75}
    assert spec_from_json(spec.to_json(), where="x") == spec
    assert FAKE_SPEC.quantization is None
    assert "quantization" not in CONTENT


def test_none_within_metrics_survives():
    spec = parse(metrics={"PublicTest": {"clean": None}})
    assert json.loads(spec.to_json())["metrics"] == {"PublicTest": {"clean": None}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"spec_version": 2}, "spec_version: expected 1"),
        ({"labels": ["one"]}, "labels: expected a length of at least 2"),
        ({"labels": ["one", 2]}, "labels.1: expected text"),
        ({"labels": ["happy", "happy"]}, "labels"),
        ({"flavour": "sweet"}, "flavour: Extra inputs are not permitted"),
        ({"precision": "fp8"}, "precision: expected 'fp32', 'fp16' or 'int8'"),
        ({"input": {**CONTENT["input"], "std": 0}}, "input.std: expected more than 0"),
        ({"input": {**CONTENT["input"], "height": 0}}, "input.height: expected at least 1"),
        ({"input": {**CONTENT["input"], "channels": 3}}, "input.channels: expected 1"),
        ({"input": {**CONTENT["input"], "color": "bgr"}}, "input.color: expected 'gray'"),
        ({"input": {**CONTENT["input"], "dtype": "float32"}}, "input.dtype: expected 'uint8'"),
        ({"input": {**CONTENT["input"], "mean": float("nan")}}, "input.mean: expected a finite number"),
        ({"input": {}}, "input.name: is missing"),
        ({"quantization": {"classifier": 0.0}}, "quantization.classifier: expected more than 0"),
    ],
)
def test_faults_are_named(changes, fault):
    with pytest.raises(ArtifactError) as caught:
        parse(**changes)
    text = str(caught.value)
    assert text.startswith("cannot use net.onnx: its ModelSpec is not one that this version reads (")
    assert fault in text
    assert "Fix: export the checkpoint again" in text


@pytest.mark.parametrize(
    ("label", "fault"),
    [
        ("", "labels: a label must be a word without blanks around it, found ''"),
        (" ", "a label must be a word without blanks around it, found ' '"),
        ("sad\n", "a label must be a word without blanks around it"),
        ("sa\x1b[31md", r"a label must have no control character, found 'sa\x1b[31md'"),
        ("sa\x00d", r"a label must have no control character, found 'sa\x00d'"),
        ("sa\u202ed", r"a label must have no control character, found 'sa\u202ed'"),
        ("sa\td", "a label must have no control character"),
        ("unsure", "no label may be called 'unsure'"),
        ("Unsure", "no label may be called 'Unsure'"),
        ("unreadable", "no label may be called 'unreadable'"),
    ],
)
def test_labels_that_cannot_be_shown(label, fault):
    with pytest.raises(ArtifactError) as caught:
        parse(labels=[label, "happy"])
    assert fault in str(caught.value)


@pytest.mark.parametrize("label", ["traurig und müde", "悲しい", "می\u200cترسد", "not a face"])
def test_labels_of_any_language(label):
    assert parse(labels=[label, "happy"]).labels[0] == label


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('"metrics": {"PublicTest": {"accuracy": NaN}}', "metrics: PublicTest.accuracy is not a finite number"),
        ('"metrics": {"by_fold": [0.5, -Infinity]}', "metrics: by_fold.1 is not a finite number"),
        ('"provenance": {"seed": Infinity}', "provenance: seed is not a finite number"),
        ('"quantization": {"classifier": NaN}', "quantization.classifier: expected a finite number"),
    ],
)
def test_numbers_that_are_not_finite(text, fault):
    with pytest.raises(ArtifactError) as caught:
        spec_from_json(json.dumps(CONTENT)[:-1] + ", " + text + "}", where="net.onnx")
    assert fault in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"'])
def test_no_spec_at_all(text):
    with pytest.raises(ArtifactError, match=r"cannot use net\.onnx: its ModelSpec"):
        spec_from_json(text, where="net.onnx")


def test_frozen():
    with pytest.raises(ValueError, match="frozen"):
        FAKE_SPEC.labels = ("a", "b")
