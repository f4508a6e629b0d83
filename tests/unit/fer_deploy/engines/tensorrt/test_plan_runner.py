"""PlanRunner over a simulated GPU."""

import gc
import weakref

import numpy as np
import pytest
from unit.fer_deploy.engines.simulated_cuda import SimulatedCudart, cudaError_t
from unit.fer_deploy.engines.tensorrt.simulated_tensorrt import Engine, SimulatedTensorRT, logits_of

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.engines.tensorrt.cuda import Cuda
from fer_deploy.engines.tensorrt.loading import CapturedLog
from fer_deploy.engines.tensorrt.runner import PlanRunner
from fer_deploy.errors import EngineError

BUCKETS = (1, 2, 4, 8)


class Rig:
    def __init__(self):
        self.cudart = SimulatedCudart()
        self.trt = SimulatedTensorRT(self.cudart, FAKE_SPEC)
        self.log = CapturedLog(self.trt)
        self.trt.Runtime(self.log.logger)
        self.engine = Engine(self.trt, FAKE_SPEC)
        self.contexts = []

    def new_context(self):
        context = self.engine.create_execution_context()
        if context is not None:
            self.contexts.append(weakref.ref(context))
        return context

    def runner(self, buckets=BUCKETS):
        return PlanRunner(Cuda(self.cudart), self.new_context, FAKE_SPEC, buckets, self.log.take)


@pytest.fixture
def rig():
    return Rig()


def images_of(num, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num, 1, 48, 48), dtype=np.uint8)


@pytest.mark.parametrize("num", [1, 2, 3, 5, 8, 9, 21])
def test_every_image_gets_its_own_logits(rig, num):
    runner = rig.runner()
    for seed in (0, 1):
        images = images_of(num, seed)
        np.testing.assert_allclose(runner.run(images), logits_of(images, 2), rtol=1e-5)


def test_batches_are_padded_and_split(rig):
    runner = rig.runner()
    rig.trt.batches.clear()
    runner.run(images_of(21))
    assert rig.trt.batches == [8, 8, 8]
    rig.trt.batches.clear()
    for num in (1, 2, 3, 4, 5):
        runner.run(images_of(num))
    assert rig.trt.batches == [1, 2, 4, 4, 8]


def test_padding_is_black_whatever_ran_before(rig):
    runner = rig.runner()
    runner.run(images_of(8))
    runner.run(images_of(5))
    np.testing.assert_array_equal(runner._images[5:8], 0)


def test_warm_up_then_one_capture_a_bucket_and_none_later(rig):
    runner = rig.runner()
    assert runner.num_graphs == len(BUCKETS)
    assert rig.cudart.counts["cudaStreamBeginCapture"] == len(BUCKETS) - 1  # counted from 0
    assert rig.trt.batches == [size for bucket in BUCKETS for size in (bucket, bucket)]  # warm-up, trial
    rig.cudart.calls.clear()
    runner.run(images_of(3))
    assert rig.cudart.calls == ["cudaGraphLaunch", "cudaStreamSynchronize"]


def test_a_context_for_each_bucket(rig):
    runner = rig.runner()
    assert len({id(context()) for context in rig.contexts}) == len(BUCKETS)
    runner.close()


def test_buffers_are_allocated_once(rig):
    runner = rig.runner()
    before = dict(rig.cudart.counts)
    for num in (1, 8, 30):
        runner.run(images_of(num))
    for name in ("cudaMalloc", "cudaHostAlloc", "cudaStreamCreateWithFlags"):
        assert rig.cudart.counts[name] == before[name]


@pytest.mark.parametrize("capturable", [True, False])
def test_a_plan_that_cannot_be_captured_runs_without_graphs(rig, capturable):
    rig.trt.capturable = capturable
    runner = rig.runner()
    assert runner.num_graphs == (len(BUCKETS) if capturable else 0)
    images = images_of(6)
    np.testing.assert_allclose(runner.run(images), logits_of(images, 2), rtol=1e-5)


class TestFailures:
    def test_refused_warm_up(self, rig):
        rig.trt.refuse = lambda context: True
        with pytest.raises(EngineError, match=r"refused a batch of 1: enqueueV3: refused for a reason\n    Fix: build"):
            rig.runner()
        assert rig.cudart.num_live == 0

    def test_refused_during_a_capture(self, rig):
        """A refused enqueue records nothing; replayed, it would give old results for good."""
        rig.trt.refuse = lambda context: bool(context.num_runs)
        with pytest.raises(EngineError, match="TensorRT refused a batch of 1: enqueueV3: refused for a reason"):
            rig.runner()
        assert rig.cudart.num_live == 0

    def test_refused_later(self, rig):
        rig.trt.capturable = False
        runner = rig.runner()
        rig.trt.refuse = lambda context: True
        with pytest.raises(EngineError, match="TensorRT refused a batch of 4"):
            runner.run(images_of(3))

    def test_a_graph_without_the_network(self, rig):
        rig.trt.loses_the_network_in_a_capture = True
        with pytest.raises(EngineError, match=r"graph for a batch of 1 gives other logits.*\n    Fix: update TensorRT"):
            rig.runner()
        assert rig.cudart.num_live == 0

    def test_no_context(self, rig):
        rig.trt.has_no_memory = True
        with pytest.raises(EngineError, match="no execution context for a batch of 1: out of device memory"):
            rig.runner()
        assert rig.cudart.num_live == 0

    def test_shape_outside_of_the_profile(self, rig):
        rig.trt.profile = (1, 2, 4)
        with pytest.raises(EngineError, match=r"TensorRT refused the input shape \(8, 1, 48, 48\)"):
            rig.runner()
        assert rig.cudart.num_live == 0

    @pytest.mark.parametrize(
        ("name", "number"),
        [
            ("cudaStreamCreateWithFlags", 0),
            *[("cudaMalloc", number) for number in (0, 1)],
            *[("cudaHostAlloc", number) for number in (0, 1)],
            *[("cudaMemcpyAsync", number) for number in (0, 1, 2, 3, 9)],
            *[("cudaStreamBeginCapture", number) for number in (0, 2)],
            *[("cudaStreamEndCapture", number) for number in (0, 2)],
            *[("cudaGraphInstantiate", number) for number in (0, 2)],
            ("cudaMemsetAsync", 1),
            *[("cudaGraphLaunch", number) for number in (0, 3)],
        ],
    )
    def test_any_call_that_fails_while_opening(self, rig, name, number):
        rig.cudart.fail[name] = (cudaError_t.cudaErrorMemoryAllocation, number)
        with pytest.raises(EngineError, match=rf"^{name} failed: cudaErrorMemoryAllocation"):
            rig.runner()
        assert rig.cudart.num_live == 0

    def test_no_call_goes_unchecked(self, rig):
        """The list above is every call that an opening makes, but those that free."""
        rig.runner()
        listed = {
            "cudaStreamCreateWithFlags",
            "cudaMalloc",
            "cudaHostAlloc",
            "cudaMemcpyAsync",
            "cudaStreamSynchronize",
            "cudaStreamBeginCapture",
            "cudaStreamEndCapture",
            "cudaGraphInstantiate",
            "cudaGraphDestroy",
            "cudaMemsetAsync",
            "cudaGraphLaunch",
        }
        assert set(rig.cudart.counts) == listed

    @pytest.mark.parametrize("name", ["cudaGraphLaunch", "cudaStreamSynchronize"])
    def test_while_running(self, rig, name):
        runner = rig.runner()
        rig.cudart.fail[name] = (cudaError_t.cudaErrorIllegalAddress, 0)
        with pytest.raises(EngineError, match=rf"^{name} failed: cudaErrorIllegalAddress"):
            runner.run(images_of(1))
        runner.close()  # the wait fails as well; what was raised before says why


class TestClose:
    def test_everything_is_freed(self, rig):
        runner = rig.runner()
        assert rig.cudart.num_live == 4 + 1 + len(BUCKETS)
        runner.close()
        assert rig.cudart.num_live == 0
        gc.collect()
        assert [context() for context in rig.contexts] == [None] * len(BUCKETS)

    def test_order(self, rig):
        runner = rig.runner()
        rig.cudart.calls.clear()
        runner.close()
        kinds = list(dict.fromkeys(rig.cudart.calls))
        assert kinds[:2] == ["cudaStreamSynchronize", "cudaGraphExecDestroy"]
        assert set(kinds[2:-1]) == {"cudaFreeHost", "cudaFree"}
        assert kinds[-1] == "cudaStreamDestroy"

    def test_twice(self, rig):
        runner = rig.runner()
        runner.close()
        runner.close()
        assert rig.cudart.num_live == 0
