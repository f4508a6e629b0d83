"""TensorRTNetwork on a simulated machine: a plan without ModelSpec, opened as a detector opens it."""

import gc
import threading

import numpy as np
import pytest
from unit.fer_deploy.engines.plan_files import CONTENT, manifest_of, write_plan
from unit.fer_deploy.engines.simulated_cuda import cudaError_t
from unit.fer_deploy.engines.simulated_network import NetworkEngine, network_manifest, pair_of
from unit.fer_deploy.engines.simulated_tensorrt import DataType, TensorIOMode

from fer_deploy.engines import open_engine
from fer_deploy.engines.network import TensorInfo, open_network
from fer_deploy.errors import ArtifactError, EngineError, MissingDependencyError
from fer_deploy.flavors import Flavor
from fer_deploy.manifest import manifest_path

FIX = "get the right file"


def rows(num, value=0):
    noise = np.random.default_rng(num)
    return {
        "a": noise.random((num, 2), dtype=np.float32) + value,
        "b": noise.integers(0, 9, (num, 2), dtype=np.uint8),
    }


def change_nothing(engine):
    """What a test puts in its place changes the engine before it is asked."""


@pytest.fixture
def network_machine(machine):
    machine.change = change_nothing

    def make(trt):
        machine.engine = NetworkEngine(trt)
        machine.change(machine.engine)
        return machine.engine

    machine.trt.make_engine = make
    return machine


def open_plan(machine, manifest=None, **options):
    path = write_plan(machine.folder, manifest=manifest or network_manifest())
    return open_network(path, fix=FIX, **{"device": "cuda", **options})


class TestRuns:
    def test_shapes_differ_from_call_to_call(self, network_machine):
        network = open_plan(network_machine)
        for num in (1, 6, 3, 6, 1):
            outputs = network.run(rows(num))
            assert {name: (value.dtype.name, value.shape) for name, value in outputs.items()} == {
                "sum": ("float32", (num, 2)),
                "count": ("int64", (1,)),
            }
            np.testing.assert_array_equal(outputs["sum"], pair_of(rows(num))["sum"])
            assert outputs["count"] == num
        assert network_machine.trt.loaded == [CONTENT]

    def test_tensors_by_name(self, network_machine):
        network = open_plan(network_machine)
        assert network.inputs == {
            "a": TensorInfo("float32", (None, 2), (1, 2), (6, 2)),
            "b": TensorInfo("uint8", (None, 2), (1, 2), (6, 2)),
        }
        assert network.outputs == {"sum": TensorInfo("float32", (None, 2)), "count": TensorInfo("int64", (1,))}
        assert network.description == "TensorRT 11.4.0.106, Simulated 3090, fp32"

    def test_results_are_the_callers(self, network_machine):
        network = open_plan(network_machine)
        first = network.run(rows(4))
        network.run(rows(4, value=7))
        np.testing.assert_array_equal(first["sum"], pair_of(rows(4))["sum"])

    def test_a_view_that_is_not_contiguous(self, network_machine):
        tensors = rows(4)
        views = {name: np.asfortranarray(tensor) for name, tensor in tensors.items()}
        np.testing.assert_array_equal(open_plan(network_machine).run(views)["sum"], pair_of(tensors)["sum"])

    def test_warm_up_at_the_usual_shape_and_no_allocation_later(self, network_machine):
        network = open_plan(network_machine)
        assert network_machine.trt.batches == [{"a": (2, 2), "b": (2, 2)}]
        before = dict(network_machine.cudart.counts)
        for num in (1, 6):
            network.run(rows(num))
        for name in ("cudaMalloc", "cudaHostAlloc", "cudaStreamCreateWithFlags"):
            assert network_machine.cudart.counts[name] == before[name]

    def test_threads_take_turns(self, network_machine):
        network, wrong = open_plan(network_machine), []
        network_machine.cudart.pause_s = 0.002

        def work(num):
            found = [network.run(rows(num, value=num))["sum"] for _ in range(5)]
            wrong.extend(sums for sums in found if not np.array_equal(sums, pair_of(rows(num, value=num))["sum"]))

        threads = [threading.Thread(target=work, args=(num,)) for num in (1, 2, 4, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestOtherTensors:
    @pytest.mark.parametrize("num", [0, 7])
    def test_shapes_outside_of_the_profile(self, network_machine, num):
        wanted = rf"a is float32 {num}x2, the plan takes float32 1x2 to 6x2\. Fix: keep within, or build .*--input-sh"
        with pytest.raises(EngineError, match=wanted):
            open_plan(network_machine).run(rows(num))

    def test_another_dtype(self, network_machine):
        tensors = {name: tensor.astype(np.float32) for name, tensor in rows(2).items()}
        with pytest.raises(EngineError, match="b is float32 2x2, the plan takes uint8 1x2 to 6x2"):
            open_plan(network_machine).run(tensors)

    def test_another_number_of_dimensions(self, network_machine):
        with pytest.raises(EngineError, match="a is float32 2, the plan takes float32 1x2 to 6x2"):
            open_plan(network_machine).run({**rows(2), "a": np.zeros(2, dtype=np.float32)})

    @pytest.mark.parametrize(("names", "text"), [("a", "b is not in both"), ("abc", "c is not in both")])
    def test_other_names(self, network_machine, names, text):
        tensors = {**rows(2), "c": np.zeros(1, dtype=np.float32)}
        with pytest.raises(EngineError, match=rf"the network takes a, b, got .*{text}\. Fix: give every input"):
            open_plan(network_machine).run({name: tensors[name] for name in names})

    def test_it_goes_on_after_a_refusal(self, network_machine):
        network = open_plan(network_machine)
        with pytest.raises(EngineError):
            network.run(rows(7))
        np.testing.assert_array_equal(network.run(rows(5))["sum"], pair_of(rows(5))["sum"])


class TestFreeing:
    def test_close(self, network_machine):
        network = open_plan(network_machine)
        assert network_machine.cudart.num_live == 1 + 2 * 4
        network.close()
        network.close()
        assert network_machine.cudart.num_live == 0
        with pytest.raises(EngineError, match=r"is closed\. Fix: open it again"):
            network.run(rows(1))

    def test_with_the_last_reference(self, network_machine):
        """Detectors are made by a function that nobody closes."""
        network = open_plan(network_machine)
        del network
        gc.collect()
        assert network_machine.cudart.num_live == 0

    def test_order(self, network_machine):
        network = open_plan(network_machine)
        network_machine.cudart.calls.clear()
        network.close()
        kinds = list(dict.fromkeys(network_machine.cudart.calls))
        assert (kinds[0], kinds[-1]) == ("cudaStreamSynchronize", "cudaStreamDestroy")
        assert set(kinds[1:-1]) == {"cudaFreeHost", "cudaFree"}


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
            EngineError, match=r"no NVIDIA GPU\.\n    Fix: run it .*, or give --detector-model an \.onn"
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
        wanted = r"is an emotion model \(fake\), expected a network without ModelSpec\. Fix: give it as --engine"
        with pytest.raises(ArtifactError, match=wanted):
            open_plan(network_machine, manifest_of())

    def test_as_an_emotion_model(self, network_machine):
        path = write_plan(network_machine.folder, manifest=network_manifest())
        wanted = r"is no emotion model: .* a network of a, b -> sum, count\. Fix: a face detector is given as --det"
        with pytest.raises(ArtifactError, match=wanted):
            open_engine(path)

    def test_the_cpu(self, network_machine):
        with pytest.raises(EngineError, match=r"on the device cpu: a TensorRT plan runs on CUDA only\. Fix: --device"):
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
        assert "it takes b of 1x2 2x2 5x2 (min, opt, max), its manifest promises 1x2 2x2 6x2." in text

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
