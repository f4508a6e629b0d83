"""fer-deploy inspect on plans and from the command line; the readers of checkpoints and ONNX have their own tests."""

import json
import sys

import pytest
from click.testing import CliRunner
from unit.fer_deploy.engines.simulated_network import network_manifest
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT, manifest_of, write_plan

from fer_deploy.artifacts import bundled_model
from fer_deploy.cli import inspect, main
from fer_deploy.environment import Gpu, Host
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import manifest_path

GPU = Gpu("Simulated 3090", "8.6", 24 * 2**30)


def run(*args):
    return CliRunner().invoke(main, ["inspect", *map(str, args)])


@pytest.fixture
def host(monkeypatch):
    class Survey:
        host = Host("linux", "x86_64", {Flavor.TENSORRT: "11.4.0.106"}, (GPU,))

    monkeypatch.setattr(inspect, "survey", lambda: Survey)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # nothing here needs it
    monkeypatch.setitem(sys.modules, "onnx", None)
    return Survey


class TestPlan:
    def test_one_that_runs_here(self, host, tmp_path):
        content = json.loads(run(write_plan(tmp_path), "--json").stdout)
        assert content["problems"] == []
        assert (content["is_the_built_file"], content["fits_this_machine"]) == (True, True)
        assert content["bytes"] == len(CONTENT)
        assert content["sha256"] == manifest_of().plan_sha256
        assert content["spec"]["labels"] == ["dark", "bright"]
        assert content["manifest"]["precision_proof"]["layers"] == {"Float": 3}
        assert content["manifest"]["target"]["compute_capabilities"] == ["8.6"]

    def test_one_of_a_network(self, host, tmp_path):
        content = json.loads(run(write_plan(tmp_path, manifest=network_manifest()), "--json").stdout)
        assert content["problems"] == []
        assert content["network"]["inputs"]["a"] == {
            "dtype": "float32",
            "min": [1, 2],
            "opt": [2, 2],
            "max": [6, 2],
        }
        assert content["network"]["outputs"]["sum"]["shape"] == [None, 2]
        assert "spec" not in content
        assert "network" not in content["manifest"]

    def test_one_that_does_not(self, host, tmp_path):
        path = write_plan(tmp_path, manifest=manifest_of(version="10.3.0", needs_host_code=True))
        content = json.loads(run(path, "--json").stdout)
        assert (content["is_the_built_file"], content["fits_this_machine"]) == (True, False)
        assert content["problems"][0].startswith("built with TensorRT 10.3.0; this machine has TensorRT 11.4.0.106.\n")
        assert "--allow-host-code" in content["problems"][1]

    def test_changed_bytes(self, host, tmp_path):
        path = write_plan(tmp_path, content=b"x" + CONTENT[1:], manifest=manifest_of())
        content = json.loads(run(path, "--json").stdout)
        assert (content["is_the_built_file"], content["fits_this_machine"]) == (False, True)
        assert content["problems"][0].startswith("not the file that was built: its SHA-256 is ")

    @pytest.mark.parametrize(("text", "problem"), [(None, "has no net-int8.plan.json"), ("{", "is not a manifest")])
    def test_no_usable_manifest(self, host, tmp_path, text, problem):
        path = write_plan(tmp_path)
        manifest_path(path).unlink() if text is None else manifest_path(path).write_text(text)
        content = json.loads(run(path, "--json").stdout)
        assert problem in content["problems"][0]
        assert content["is_the_built_file"] is content["fits_this_machine"] is None
        assert content["sha256"] == manifest_of().plan_sha256

    def test_text(self, host, tmp_path):
        path = write_plan(tmp_path, manifest=manifest_of(version="10.3.0"))
        result = run(path)
        assert result.exit_code == 0
        text = " ".join(result.stdout.split())
        assert "fits this machine no" in text
        assert "is the built file yes" in text
        assert "problem built with TensorRT 10.3.0; this machine has" in text
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_onnx_text_fits_80_columns():
    result = run(bundled_model())
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
    text = " ".join(result.stdout.split())
    assert "spec architecture senet" in text
    assert "problems none" in text
    assert "layers by precision fp16" in text
    assert "(--json shows all)" in text


def test_onnx_json_is_whole():
    content = json.loads(run(bundled_model(), "--json").stdout)
    assert content["spec"]["metrics"]["checkpoint"]["PublicTest"]["plain"]["num_faces"] == 3199  # as its card says


class TestErrors:
    @pytest.mark.parametrize("name", ["net.pt", "net", "last.bin"])
    def test_unknown_suffix(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"weights")
        result = run(tmp_path / name)
        assert result.exit_code == 4
        assert "known are .onnx, .safetensors, .plan, .engine. Fix: fer-train release" in result.stderr

    def test_a_pack_is_to_be_rebuilt(self, tmp_path):
        pack = tmp_path / "my net.ferpack"
        pack.write_bytes(b"PK")
        result = run(pack)
        assert result.exit_code == 4
        assert f"Fix: fer-deploy rebuild '{pack}' --out '{tmp_path / 'my net'}', then a file of it" in result.stderr

    @pytest.mark.parametrize("name", ["net.onnx", "net.plan", "net.safetensors", "net.onx", "net"])
    def test_missing(self, tmp_path, name):
        result = run(tmp_path / name)
        assert result.exit_code == 4
        assert f"no model at {tmp_path / name}. Fix: " in result.stderr

    def test_without_onnx(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        monkeypatch.delitem(sys.modules, "fer_deploy.export.inspect", raising=False)
        result = run(bundled_model())
        assert result.exit_code == 3
        assert "onnx is not installed. Fix: pip install 'fer-toolchain[export]'" in result.stderr
