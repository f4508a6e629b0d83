"""Two kinds of manifest in one format."""

import json

import pytest
from pydantic import ValidationError
from unit.fer_deploy.engines.simulated_network import PAIR, network_manifest
from unit.fer_deploy.engines.tensorrt.plan_files import manifest_of, write_plan

from fer_deploy.errors import ArtifactError
from fer_deploy.manifest import (
    NetworkManifest,
    ShapeRange,
    manifest_path,
    read_any_manifest,
    read_manifest,
    read_network_manifest,
)


def test_each_is_read_as_what_was_written(tmp_path):
    model, network = manifest_of(), network_manifest()
    assert read_manifest(write_plan(tmp_path, manifest=model)) == model
    assert read_any_manifest(tmp_path / "net-int8.plan") == model
    assert read_network_manifest(write_plan(tmp_path, manifest=network)) == network
    assert read_any_manifest(tmp_path / "net-int8.plan") == network


def test_one_written_before_there_were_networks(tmp_path):
    path = write_plan(tmp_path)
    written = json.loads(manifest_path(path).read_text())
    assert written.keys() == {
        "format",
        "plan_sha256",
        "plan_bytes",
        "flavor",
        "version",
        "version_compatible",
        "needs_host_code",
        "spec",
        "profile",
        "target",
        "precision_proof",
        "source_onnx",
        "source_onnx_sha256",
    }
    assert written["format"] == "fer-plan-1"


def test_free_sizes_survive_json(tmp_path):
    found = read_network_manifest(write_plan(tmp_path, manifest=network_manifest()))
    assert found.network.outputs["sum"].shape == (None, 2)
    assert found.network.inputs["a"].shape == (None, 2)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"spec": {}}, "spec: Extra inputs are not permitted"),
        ({"needs_host_code": True}, "needs_host_code: expected False"),
        ({"network": {}}, "network.precision: is missing"),
        (
            {"network": {**PAIR.model_dump(mode="json"), "inputs": {}}},
            "network.inputs: expected a length of at least 1",
        ),
        ({"network": [1]}, "network: expected keys with values"),
    ],
)
def test_a_network_manifest_that_is_none(tmp_path, changes, fault):
    path = write_plan(tmp_path, manifest=network_manifest())
    content = json.loads(manifest_path(path).read_text()) | changes
    manifest_path(path).write_text(json.dumps(content))
    with pytest.raises(ArtifactError) as caught:
        read_network_manifest(path)
    assert "net-int8.plan.json is not a manifest that this version reads (" in str(caught.value)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "shapes", [((1, 3), (1, 2), (1, 4)), ((1, 3), (1, 3), (1, 2)), ((1,), (1, 3), (1, 3)), ((0,), (1,), (1,))]
)
def test_shapes_rise(shapes):
    with pytest.raises(ValidationError):
        ShapeRange(min=shapes[0], opt=shapes[1], max=shapes[2])


def test_kinds_are_apart():
    assert isinstance(network_manifest(), NetworkManifest)
    assert not hasattr(network_manifest(), "spec")
