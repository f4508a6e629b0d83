"""BucketRunner: its buffers are real OrtValues, here in the CPU's memory; the GPU behind them is made up."""

import threading

import numpy as np
import onnxruntime as ort
import pytest

from fer_deploy.engines.fake import FAKE_SPEC
from fer_deploy.engines.onnxruntime.cuda_graphs import NO_GRAPH, WARM_UP_RUNS, BucketRunner
from fer_deploy.engines.onnxruntime.engine import OnnxRuntimeEngine
from fer_deploy.engines.onnxruntime.session import ProvedSession, SessionRequest, open_session
from fer_deploy.errors import EngineError

BUCKETS = (1, 2, 4)


def means(images: np.ndarray) -> np.ndarray:
    """What the made-up network computes: (-m, m) of each image's mean."""
    mean = images.mean(axis=(1, 2, 3)).astype(np.float32)
    return np.stack([-mean, mean], axis=1)


def images_of(num: int) -> np.ndarray:
    return np.random.default_rng(num).integers(0, 256, (num, 1, 48, 48)).astype(np.uint8)


class GraphBinding:
    def bind_ortvalue_input(self, name, value):
        assert name == "images"
        self.images = value

    def bind_ortvalue_output(self, name, value):
        assert name == "logits"
        self.logits = value


class GraphSession:
    """Captures at the second run of an id in a thread, then replays: reads and writes the captured buffers only."""

    def __init__(self, *, fail: bool = False, replays_nothing: bool = False) -> None:
        self.runs: list[tuple[int, int]] = []  # (graph id, batch)
        self.captured: dict[tuple[int, int], GraphBinding] = {}
        self.num_bindings, self.fail, self.replays_nothing = 0, fail, replays_nothing
        self._seen: set[tuple[int, int]] = set()

    def io_binding(self):
        self.num_bindings += 1
        return GraphBinding()

    def run_with_iobinding(self, binding, run_options):
        if self.fail:
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")
        graph_id = int(run_options.get_run_config_entry("gpu_graph_id"))
        key = (threading.get_ident(), graph_id)
        if key in self._seen and graph_id != NO_GRAPH:
            self.captured.setdefault(key, binding)
        self._seen.add(key)
        used = self.captured.get(key, binding)
        self.runs.append((graph_id, used.images.shape()[0]))
        if self.replays_nothing and key in self.captured:
            return
        used.logits.update_inplace(means(used.images.numpy()))


WARM_UP = [run for size in BUCKETS for run in [(size, size)] * (WARM_UP_RUNS + 1) + [(NO_GRAPH, size)]]
"""(graph id, batch) of each run: capture, then one replay held against one run without a graph."""


@pytest.fixture
def session():
    return GraphSession()


@pytest.fixture
def runner(session):
    made = BucketRunner(session, FAKE_SPEC, BUCKETS, device="cpu")
    made.warm_up()
    return made


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5, 7, 8, 9, 64])
def test_every_batch(runner, num):
    """Padding is cut off, parts come back in order, and nothing of an earlier batch is left."""
    runner(np.full((4, 1, 48, 48), 255, dtype=np.uint8))
    np.testing.assert_array_equal(runner(images_of(num)), means(images_of(num)))


def test_warm_up_captures_each_bucket(session, runner):
    assert session.num_bindings == len(BUCKETS)
    assert session.runs == WARM_UP
    assert sorted(graph_id for _, graph_id in session.captured) == list(BUCKETS)


def test_a_graph_id_keeps_its_shape_and_buffers(session, runner):
    session.runs.clear()
    for num in (3, 1, 2, 4, 7, 1):
        runner(images_of(num))
    assert session.runs == [(4, 4), (1, 1), (2, 2), (4, 4), (4, 4), (4, 4), (1, 1)]
    assert session.num_bindings == len(BUCKETS)


def test_pads_with_black(session, runner):
    runner(images_of(4))
    runner(images_of(3))
    binding = session.captured[threading.get_ident(), 4]
    assert not binding.images.numpy()[3].any()


def test_logits_are_the_callers(runner):
    first = runner(images_of(4))
    kept = first.copy()
    runner(255 - images_of(4))
    np.testing.assert_array_equal(first, kept)


def test_another_thread_captures_its_own(session, runner):
    """As in the live loop: opened in the main thread, run in another."""
    session.runs.clear()
    answers = []
    thread = threading.Thread(target=lambda: answers.extend([runner(images_of(3)), runner(images_of(3))]))
    thread.start()
    thread.join()
    for answer in answers:
        np.testing.assert_array_equal(answer, means(images_of(3)))
    assert len(answers) == 2
    assert session.runs == [*WARM_UP, (4, 4), (4, 4)]
    session.runs.clear()
    runner(images_of(1))
    assert session.runs == [(1, 1)]


def test_a_graph_that_replays_nothing():
    runner = BucketRunner(GraphSession(replays_nothing=True), FAKE_SPEC, BUCKETS, device="cpu")
    with pytest.raises(EngineError, match="graph for a batch of 1 gives other logits than the network"):
        runner.warm_up()


def test_a_failing_gpu():
    opened = ProvedSession(GraphSession(fail=True), "cuda", "CUDAExecutionProvider", {})
    engine = OnnxRuntimeEngine(FAKE_SPEC, BucketRunner(opened.session, FAKE_SPEC, BUCKETS, device="cpu"), opened)
    with pytest.raises(EngineError, match="ONNX Runtime failed on a batch of 2: CUDA failure 700"):
        engine.infer(images_of(2))


def test_real_session(tiny_onnx):
    """IOBinding, OrtValue and run options are ONNX Runtime's own; only the device is another."""
    opened = open_session(tiny_onnx, SessionRequest("cpu", 1))
    with OnnxRuntimeEngine.open(tiny_onnx, device="cpu", threads=1) as engine:
        runner = BucketRunner(opened.session, engine.spec, BUCKETS, device="cpu")
        for num in (7, 1, 3):
            np.testing.assert_allclose(runner(images_of(num)), engine.infer(images_of(num)), atol=1e-4)


@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_engine_on_a_gpu_warms_up_in_buckets(tiny_onnx, monkeypatch, max_batch):
    """`open` with device cuda, up to the session and the place of the buffers, which are the CPU's."""
    real = ort.InferenceSession(str(tiny_onnx), providers=["CPUExecutionProvider"])
    sizes = []
    opened = ProvedSession(real, "cuda", "CUDAExecutionProvider", {"provider": "CUDAExecutionProvider"})
    module = "fer_deploy.engines.onnxruntime.engine"
    monkeypatch.setattr(f"{module}.open_session", lambda path, request, content: opened)

    def on_the_cpu(session, spec, buckets):
        sizes.extend(buckets)
        return BucketRunner(session, spec, buckets, device="cpu")

    monkeypatch.setattr(f"{module}.BucketRunner", on_the_cpu)
    with OnnxRuntimeEngine.open(tiny_onnx, device="cuda", max_batch=max_batch) as engine:
        assert sizes == sorted({1, 2, 4, 8, max_batch} & set(range(max_batch + 1)))
        assert engine.infer(images_of(9)).shape == (9, len(engine.spec.labels))
        assert "CUDAExecutionProvider" in engine.description
        assert engine.settings["warm_up_ms"]
