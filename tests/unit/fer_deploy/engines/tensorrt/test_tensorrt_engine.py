"""TensorRTEngine on a simulated machine: what it does with a plan that it deserializes."""

import json
import os
import stat
import threading

import numpy as np
import onnx
import pytest
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT, manifest_of, rtx_manifest, write_plan
from unit.fer_deploy.engines.tensorrt.simulated_tensorrt import DataType, TensorIOMode, logits_of

from fer_deploy.engines import open_engine
from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.errors import ArtifactError, EngineError, MissingDependencyError
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import manifest_path


def images_of(num):
    return np.random.default_rng(num).integers(0, 256, (num, 1, 48, 48), dtype=np.uint8)


@pytest.fixture
def rtx_machine(machine):
    machine.trt.__name__, machine.trt.__version__ = "tensorrt_rtx", "1.7.1.116"
    machine.versions = {Flavor.TENSORRT_RTX: "1.7.1.116"}
    return machine


class TestRuns:
    @pytest.mark.parametrize("device", ["auto", "cuda"])
    def test_infer(self, machine, device):
        with machine.open(device=device) as engine:
            np.testing.assert_allclose(engine.infer(images_of(70)), logits_of(images_of(70), 2), rtol=1e-5)
            assert engine.description == "TensorRT 11.4.0.106, Simulated 3090, fp32"
            assert engine.spec == FAKE_SPEC
        assert machine.trt.loaded == [CONTENT]
        assert machine.cudart.num_live == 0

    def test_dot_engine_is_a_plan_too(self, machine):
        path = write_plan(machine.folder)
        renamed = path.rename(path.with_suffix(".engine"))
        manifest_path(path).rename(manifest_path(renamed))
        with open_engine(renamed) as engine:
            assert engine.infer(images_of(1)).shape == (1, 2)

    def test_threads_take_turns(self, machine):
        with machine.open() as engine:
            results, machine.cudart.pause_s = {}, 0.002

            def work(num):
                results[num] = [engine.infer(images_of(num)) for _ in range(5)]

            threads = [threading.Thread(target=work, args=(num,)) for num in (1, 3, 5, 8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for num, all_logits in results.items():
            for logits in all_logits:
                np.testing.assert_allclose(logits, logits_of(images_of(num), 2), rtol=1e-5)

    def test_after_close(self, machine):
        engine = machine.open()
        engine.close()
        engine.close()
        with pytest.raises(EngineError, match=r"is closed\. Fix: open it again"):
            engine.infer(images_of(1))

    def test_a_plan_without_graphs_says_so(self, rtx_machine):
        rtx_machine.trt.capturable = False
        with rtx_machine.open(rtx_manifest()) as engine:
            assert "without CUDA graphs" in engine.description


def test_the_imported_module_says_which_version_runs(machine):
    """Metadata of another installation on the path must not decide."""
    machine.versions = {Flavor.TENSORRT: "10.3.0"}
    machine.open().close()
    assert machine.trt.loaded == [CONTENT]


class TestPermissions:
    @pytest.mark.parametrize(("needs", "given", "allowed"), [(0, 0, 0), (0, 1, 0), (1, 1, 1)])
    def test_host_code_runs_only_if_needed_and_allowed(self, machine, needs, given, allowed):
        machine.open(manifest_of(needs_host_code=bool(needs)), allow_host_code=bool(given)).close()
        assert machine.trt.host_code_allowed == [bool(allowed)]

    def test_trusted_with_another_hash(self, machine):
        path = write_plan(machine.folder, content=b"other", manifest=manifest_of())
        with open_engine(path, trust_plan=True):
            assert machine.trt.loaded == [b"other"]

    @pytest.mark.parametrize("allow_host_code", [True, False])
    def test_trusted_without_a_manifest(self, machine, allow_host_code):
        """The ONNX of the same name says labels and input."""
        path = write_plan(machine.folder)
        manifest_path(path).unlink()
        write_onnx(path.with_suffix(".onnx"))
        with open_engine(path, trust_plan=True, allow_host_code=allow_host_code) as engine:
            assert engine.spec == FAKE_SPEC
            np.testing.assert_allclose(engine.infer(images_of(3)), logits_of(images_of(3), 2), rtol=1e-5)
        assert machine.trt.host_code_allowed == [allow_host_code]

    def test_trusted_without_manifest_or_onnx(self, machine):
        path = write_plan(machine.folder)
        manifest_path(path).unlink()
        with pytest.raises(ArtifactError, match=r"no manifest, and no net-int8\.onnx beside it with its labels"):
            open_engine(path, trust_plan=True)
        assert machine.trt.loaded == []

    def test_trusted_without_tensorrt(self, machine):
        machine.versions = {}
        path = write_plan(machine.folder)
        manifest_path(path).unlink()
        write_onnx(path.with_suffix(".onnx"))
        with pytest.raises(MissingDependencyError, match=r"TensorRT is not installed\. Fix: pip install"):
            open_engine(path, trust_plan=True)


def write_onnx(path):
    """An ONNX of FAKE_SPEC's contract."""
    pixels, size = onnx.TensorProto.UINT8, 48 * 48
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["x"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Flatten", ["x"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("images", pixels, ["batch", 1, 48, 48])],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 2])],
        [onnx.numpy_helper.from_array(np.ones((size, 2), dtype=np.float32), "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.helper.set_model_props(model, {"fer_model_spec": FAKE_SPEC.to_json()})
    onnx.save(model, path)


class TestBroken:
    @pytest.fixture(autouse=True)
    def nothing_is_left_behind(self, machine):
        yield
        assert machine.cudart.num_live == 0

    def test_tensorrt_refuses_the_plan(self, machine):
        machine.trt.refuses_plan = True
        with pytest.raises(EngineError) as caught:
            machine.open()
        assert "tensorrt 11.4.0.106 cannot load " in str(caught.value)
        assert ": the magic tag is another one\n    Fix: fer-deploy doctor" in str(caught.value)

    def test_other_tensors(self, machine):
        machine.trt.other_tensors = {"logits": (TensorIOMode.OUTPUT, DataType.HALF, (-1, 7))}
        with pytest.raises(
            ArtifactError, match=r"output logits: half \(N, 7\); its ModelSpec promises .*float \(N, 2\)"
        ):
            machine.open()

    def test_one_tensor_more(self, machine):
        machine.trt.other_tensors = {"extra": (TensorIOMode.OUTPUT, DataType.FLOAT, (-1, 2))}
        with pytest.raises(ArtifactError, match="output extra"):
            machine.open()

    @pytest.mark.parametrize("profile", [(1, 4, 32), (2, 4, 64)])
    def test_another_profile(self, machine, profile):
        machine.trt.profile = profile
        with pytest.raises(ArtifactError, match=r"accepts batches of \d to \d\d, its manifest promises 1 to 64"):
            machine.open()


class TestRuntimeCache:
    """TensorRT for RTX compiles kernels at the first start; the next one reads them."""

    def files(self, machine):
        return list((machine.folder / "cache").rglob("*.cache"))

    def test_kept_for_the_next_start(self, rtx_machine):
        rtx_machine.open(rtx_manifest()).close()
        (path,) = self.files(rtx_machine)
        content = path.read_bytes()
        assert content.startswith(b"kernels of 1, 1, 2, 2")  # after every bucket was warm
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert os.listdir(path.parent) == [path.name]
        rtx_machine.open(rtx_manifest()).close()
        assert rtx_machine.trt.cache_blobs == [content]

    def test_kernels_are_compiled_at_once_and_every_context_has_the_cache(self, rtx_machine):
        rtx_machine.open(rtx_manifest()).close()
        (config,) = rtx_machine.trt.configs
        assert config.dynamic_shapes_kernel_specialization_strategy == "eager"
        assert config.num_contexts == 7
        assert config.cache is not None

    def test_another_plan_version_or_gpu_has_another_file(self, rtx_machine):
        rtx_machine.open(rtx_manifest()).close()
        rtx_machine.cudart.name = "Simulated 3080"
        rtx_machine.open(rtx_manifest()).close()
        rtx_machine.trt.__version__ = "1.7.2"
        rtx_machine.open(rtx_manifest(version="1.7.2")).close()
        assert len(self.files(rtx_machine)) == 3
        assert rtx_machine.trt.cache_blobs == []

    def test_a_corrupt_one_is_replaced(self, rtx_machine):
        rtx_machine.open(rtx_manifest()).close()
        (path,) = self.files(rtx_machine)
        path.write_bytes(b"garbage")
        rtx_machine.open(rtx_manifest()).close()
        assert path.read_bytes().startswith(b"kernels of")

    def test_one_that_others_can_write_is_not_loaded(self, rtx_machine, caplog):
        rtx_machine.open(rtx_manifest()).close()
        (path,) = self.files(rtx_machine)
        path.chmod(0o666)
        rtx_machine.open(rtx_manifest()).close()
        assert rtx_machine.trt.cache_blobs == []
        assert "this start compiles them: " in caplog.text
        assert "can be written by others (mode 666). Fix: chmod go-w" in caplog.text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "the new one is ours again"

    def test_no_room(self, rtx_machine):
        (rtx_machine.folder / "cache").write_text("a file in the way")
        with rtx_machine.open(rtx_manifest()) as engine:
            assert "compiled kernels were not stored (" in engine.description
            assert engine.infer(images_of(1)).shape == (1, 2)

    def test_tensorrt_keeps_none(self, machine):
        machine.open().close()
        assert self.files(machine) == []
        assert machine.trt.configs == []


def test_the_bytes_that_were_hashed_are_the_bytes_that_are_loaded(machine, monkeypatch):
    """A file that changes between check and use changes nothing."""
    path = write_plan(machine.folder)
    import fer_deploy.engines.tensorrt.admission as leaf  # noqa: PLC0415

    original = leaf._require_fit

    def swap(*args):
        path.write_bytes(b"swapped")
        return original(*args)

    monkeypatch.setattr(leaf, "_require_fit", swap)
    open_engine(path).close()
    assert machine.trt.loaded == [CONTENT]
    assert path.read_bytes() == b"swapped"


def test_manifest_is_plain_json(tmp_path):
    """What these tests write is what a build writes."""
    assert json.loads(manifest_path(write_plan(tmp_path)).read_text())["format"] == "fer-plan-1"
