"""TensorRTNetwork on a simulated machine: what it refuses, with or without a look, and what it leaves behind."""

import gc

import pytest
from unit.fer_deploy.engines.simulated_cuda import cudaError_t
from unit.fer_deploy.engines.simulated_network import FIX, network_manifest, open_plan, rows
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT, manifest_of, write_plan
from unit.fer_deploy.engines.tensorrt.simulated_tensorrt import DataType, TensorIOMode

from fer_deploy.engines import open_engine
from fer_deploy.engines.network import open_network
from fer_deploy.errors import ArtifactError, EngineError, MissingDependencyError
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import manifest_path


class TestRefusedUnseen:
    """Each of these raises before TensorRT sees a byte, in the words that a plan of an emotion model has."""

    @pytest.fixture(autouse=True)
    def nothing_was_deserialized(self, network_machine):
        yield
        assert network_machine.trt.loaded == []
        assert network_machine.cudart.num_live == 0

    def test_another_machine(self, network_machine):
        manifest = network_manifest(version="10.3.0", target={"compute_capabilities": ["9.0"]})
        with pytest.raises(EngineError) as caught:
            open_plan(network_machine, manifest)
        folder = network_machine.folder
        assert str(caught.value) == (
            f"cannot load {folder}/net-int8.plan: built with TensorRT 10.3.0 for sm_90; this machine has TensorRT "
            f"11.4.0.106 and sm_86.\n    Fix: fer-deploy build --onnx {folder}/yunet.onnx --out {folder}/net-int8.plan "
            "--input-shapes a 1x2 2x2 6x2 --input-shapes b 1x2 2x2 6x2"
        )

    def test_no_gpu(self, network_machine):
        network_machine.cudart.fail["cudaSetDevice"] = (cudaError_t.cudaErrorInsufficientDriver, 0)
        with pytest.raises(
            EngineError,
            match=r"no NVIDIA GPU\.\n    Fix: run it .*, or give detector_model \(--detector-model\) an \.onn",
        ):
            open_plan(network_machine)

    def test_another_flavor(self, network_machine):
        network_machine.versions = {}
        with pytest.raises(MissingDependencyError, match=r"this machine has no TensorRT\.\n    Fix: pip install"):
            open_plan(network_machine)

    def test_other_bytes(self, network_machine):
        path = write_plan(network_machine.folder, content=CONTENT[:-1] + b"?", manifest=network_manifest())
        with pytest.raises(ArtifactError, match="its SHA-256 is ") as caught:
            open_network(path, fix=FIX, device="cuda")
        assert "--trust-plan" not in str(caught.value)

    def test_no_manifest(self, network_machine):
        path = write_plan(network_machine.folder)
        manifest_path(path).unlink()
        with pytest.raises(ArtifactError, match=r"has no net-int8\.plan\.json beside it") as caught:
            open_network(path, fix=FIX, device="cuda")
        assert "--trust-plan" not in str(caught.value)

    def test_an_emotion_model(self, network_machine):
        wanted = (
            r"is an emotion model \(fake\), expected a network without ModelSpec\. Fix: give it as engine \(--engine\)"
        )
        with pytest.raises(ArtifactError, match=wanted):
            open_plan(network_machine, manifest_of())

    def test_as_an_emotion_model(self, network_machine):
        path = write_plan(network_machine.folder, manifest=network_manifest())
        wanted = r"is not an emotion model: .* a network of a, b -> sum, count\. Fix: a face detector is given as det"
        with pytest.raises(ArtifactError, match=wanted):
            open_engine(path)

    def test_the_cpu(self, network_machine):
        with pytest.raises(EngineError, match=r"on the device cpu: a TensorRT plan runs on CUDA only\. Fix: device="):
            open_plan(network_machine, device="cpu")


class TestBroken:
    @pytest.fixture(autouse=True)
    def nothing_is_left_behind(self, network_machine):
        yield
        gc.collect()
        assert network_machine.cudart.num_live == 0

    def refusal(self, machine, kind=EngineError):
        with pytest.raises(kind) as caught:
            open_plan(machine)
        assert "Fix: " in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("name", "tensor"),
        [
            ("sum", (TensorIOMode.OUTPUT, DataType.HALF, (-1, 2))),
            ("sum", (TensorIOMode.OUTPUT, DataType.FLOAT, (-1, 3))),
            ("sum", (TensorIOMode.OUTPUT, DataType.FLOAT, (-1, 2, 1))),
            ("a", (TensorIOMode.OUTPUT, DataType.FLOAT, (-1, 2))),
            ("extra", (TensorIOMode.OUTPUT, DataType.FLOAT, (-1, 2))),
        ],
    )
    def test_other_tensors(self, network_machine, name, tensor):
        network_machine.change = lambda engine: engine.tensors.update({name: tensor})
        text = self.refusal(network_machine, ArtifactError)
        assert f"{tensor[0].name.lower()} {name}: {tensor[1].name.lower()} {tensor[2]}" in text
        assert "; its manifest promises input a: float (-1, 2), input b: uint8 (-1, 2), output sum: " in text

    def test_another_profile(self, network_machine):
        network_machine.change = lambda engine: engine.profiles.update(b=((1, 2), (2, 2), (5, 2)))
        text = self.refusal(network_machine, ArtifactError)
        assert "it accepts b of 1x2 2x2 5x2 (min, opt, max), its manifest promises 1x2 2x2 6x2." in text

    def test_a_builder_that_knows_a_size_which_the_graph_left_free(self, network_machine):
        network_machine.change = lambda engine: engine.tensors.update(sum=(TensorIOMode.OUTPUT, DataType.FLOAT, (6, 2)))
        assert open_plan(network_machine).run(rows(6))["count"] == 6

    def test_no_context(self, network_machine):
        network_machine.trt.has_no_memory = True
        assert "no execution context: out of device memory" in self.refusal(network_machine)

    def test_an_output_of_no_certain_size(self, network_machine):
        network_machine.change = lambda engine: setattr(engine, "shape_of", lambda name, shape: (-1, *shape[1:]))
        assert "gives the output sum the shape (-1, 2), which does not follow" in self.refusal(network_machine)

    def test_an_output_that_is_largest_for_small_inputs(self, network_machine):
        """Nothing is written beyond the buffers that were made for the largest inputs."""
        network = open_plan(network_machine)
        network_machine.engine.shape_of = lambda name, shape: (9, *shape[1:])
        with pytest.raises(EngineError, match=r"output sum the shape \(9, 2\), .* more than the largest ones give"):
            network.run(rows(1))

    def test_refused_warm_up(self, network_machine):
        network_machine.trt.refuse = lambda context: True
        assert "TensorRT refused to run the network: enqueueV3: refused for" in self.refusal(network_machine)

    def test_refused_later(self, network_machine):
        network = open_plan(network_machine)
        network_machine.trt.refuse = lambda context: True
        with pytest.raises(EngineError, match="refused to run the network: enqueueV3: refused for a reason\n    Fix"):
            network.run(rows(1))

    @pytest.mark.parametrize(
        ("name", "number"),
        [
            ("cudaStreamCreateWithFlags", 0),
            *[("cudaMalloc", number) for number in range(4)],
            *[("cudaHostAlloc", number) for number in range(4)],
            *[("cudaMemcpyAsync", number) for number in range(4)],
        ],
    )
    def test_any_call_that_fails_while_opening(self, network_machine, name, number):
        network_machine.cudart.fail[name] = (cudaError_t.cudaErrorMemoryAllocation, number)
        assert self.refusal(network_machine).startswith(f"{name} failed: cudaErrorMemoryAllocation")


class TestRtx:
    @pytest.fixture
    def rtx(self, network_machine):
        network_machine.trt.__name__, network_machine.trt.__version__ = "tensorrt_rtx", "1.7.1.116"
        network_machine.versions = {Flavor.TENSORRT_RTX: "1.7.1.116"}
        return network_machine

    def open(self, machine):
        return open_plan(machine, network_manifest(flavor="tensorrt_rtx", version="1.7.1.116"))

    def test_kernels_are_compiled_in_the_background(self, rtx):
        """No picture of a new size is waited for: no graph would keep the general kernels."""
        self.open(rtx)
        (config,) = rtx.trt.configs
        assert not hasattr(config, "dynamic_shapes_kernel_specialization_strategy")
        assert config.cache is not None

    def test_and_kept_at_the_end_for_the_next_start(self, rtx):
        network = self.open(rtx)
        assert list((rtx.folder / "cache").rglob("*.cache")) == []
        network.run(rows(5))
        network.close()
        (path,) = (rtx.folder / "cache").rglob("*.cache")
        assert b"(5, 2)" in path.read_bytes()
        self.open(rtx).close()
        assert len(rtx.trt.cache_blobs) == 1
