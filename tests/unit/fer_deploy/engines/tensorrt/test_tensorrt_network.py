"""TensorRTNetwork on a simulated machine: a plan without ModelSpec, opened as a detector opens it."""

import gc
import threading

import numpy as np
import pytest
from unit.fer_deploy.engines.simulated_network import open_plan, pair_of, rows
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT

from fer_deploy.engines.network import TensorInfo
from fer_deploy.errors import EngineError


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
        wanted = rf"a is float32 {num}x2, the plan needs float32 1x2 to 6x2\. Fix: keep within, or build .*--input-sh"
        with pytest.raises(EngineError, match=wanted):
            open_plan(network_machine).run(rows(num))

    def test_another_dtype(self, network_machine):
        tensors = {name: tensor.astype(np.float32) for name, tensor in rows(2).items()}
        with pytest.raises(EngineError, match="b is float32 2x2, the plan needs uint8 1x2 to 6x2"):
            open_plan(network_machine).run(tensors)

    def test_another_number_of_dimensions(self, network_machine):
        with pytest.raises(EngineError, match="a is float32 2, the plan needs float32 1x2 to 6x2"):
            open_plan(network_machine).run({**rows(2), "a": np.zeros(2, dtype=np.float32)})

    @pytest.mark.parametrize(("names", "text"), [("a", "b is not in both"), ("abc", "c is not in both")])
    def test_other_names(self, network_machine, names, text):
        tensors = {**rows(2), "c": np.zeros(1, dtype=np.float32)}
        with pytest.raises(EngineError, match=rf"the network needs a, b, got .*{text}\. Fix: give every input"):
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
