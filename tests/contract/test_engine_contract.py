"""One class, every engine."""

import numpy as np
import pytest
from unit.fer_deploy.engines.openvino_mark import needs_openvino
from unit.fer_deploy.engines.simulated_machine import SimulatedMachine

from fer_deploy.engines import open_engine
from fer_deploy.engines.base import Engine
from fer_deploy.engines.fake import FakeEngine
from fer_deploy.engines.onnxruntime.cuda_graphs import BucketRunner
from fer_deploy.engines.onnxruntime.engine import OnnxRuntimeEngine
from fer_deploy.engines.onnxruntime.session import SessionRequest, open_session
from fer_deploy.errors import EngineError
from fer_deploy.export.plan.build import build_plan
from fer_deploy.export.plan.config import BuildConfig
from fer_deploy.export.verify.torch_engine import TorchEngine

ENGINES = [
    "fake",
    "onnxruntime",
    "onnxruntime-buckets",
    "tensorrt-simulated",
    "torch",
    pytest.param("openvino", marks=needs_openvino),
    pytest.param("tensorrt", marks=pytest.mark.gpu),
    pytest.param("tensorrt_rtx", marks=pytest.mark.gpu),
    pytest.param("torch-cuda", marks=pytest.mark.gpu),
    pytest.param("onnxruntime-cuda", marks=pytest.mark.gpu),
    pytest.param("onnxruntime-cuda-graph", marks=pytest.mark.gpu),
]


def bucketed(path) -> OnnxRuntimeEngine:
    """What runs on a GPU, IOBinding and padding and all, with its buffers in the CPU's memory."""
    opened = open_session(path, SessionRequest(device="cpu"))
    with OnnxRuntimeEngine.open(path, device="cpu") as engine:
        runner = BucketRunner(opened.session, engine.spec, (1, 2, 4), device="cpu")
        return OnnxRuntimeEngine(engine.spec, runner, opened)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tmp_path_factory):
    match request.param:
        case "fake":
            opened = FakeEngine()
        case "onnxruntime":
            opened = open_engine(request.getfixturevalue("tiny_onnx"), device="cpu")
        case "openvino":
            opened = open_engine(request.getfixturevalue("tiny_onnx"), device="openvino")
        case "onnxruntime-buckets":
            opened = bucketed(request.getfixturevalue("tiny_onnx"))
        case "onnxruntime-cuda" | "onnxruntime-cuda-graph":
            opened = OnnxRuntimeEngine.open(
                request.getfixturevalue("tiny_onnx"), device="cuda", cuda_graph=request.param.endswith("graph")
            )
        case "tensorrt-simulated":
            with pytest.MonkeyPatch.context() as patch:
                opened = SimulatedMachine(patch, tmp_path_factory.mktemp("plan")).open()
        case "tensorrt" | "tensorrt_rtx":
            plan = tmp_path_factory.mktemp("plan") / "net.plan"
            build_plan(request.getfixturevalue("tiny_onnx"), plan, BuildConfig(flavor=request.param))
            opened = open_engine(plan, device="cuda")
        case "torch":
            opened = TorchEngine.open(request.getfixturevalue("tiny_release"), device="cpu")
        case "torch-cuda":
            opened = TorchEngine.open(request.getfixturevalue("tiny_release"), device="cuda")
    with opened:
        yield opened


def images_of(num: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    level = generator.integers(20, 230, (num, 1, 1, 1))
    return (level + generator.integers(-20, 20, (num, 1, 48, 48))).astype(np.uint8)


class TestEngineContract:
    @pytest.mark.parametrize("num", [0, 1, 5, 64])
    def test_shape_and_dtype(self, engine: Engine, num: int):
        logits = engine.infer(images_of(num))
        assert logits.shape == (num, len(engine.spec.labels))
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()

    def test_tells_images_apart(self, engine: Engine):
        assert np.ptp(engine.infer(images_of(8)), axis=0).max() > 0.01

    @pytest.mark.parametrize("num", [1, 3])
    def test_a_face_does_not_depend_on_its_batch(self, engine: Engine, num: int):
        images = images_of(9)
        np.testing.assert_allclose(engine.infer(images[:num]), engine.infer(images)[:num], atol=1e-4)

    def test_same_input_same_result(self, engine: Engine):
        np.testing.assert_array_equal(engine.infer(images_of(5)), engine.infer(images_of(5)))

    @pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int64])
    def test_wrong_dtype(self, engine: Engine, dtype):
        with pytest.raises(EngineError, match=rf"images are {np.dtype(dtype)}, expected uint8 in 0 to 255"):
            engine.infer(images_of(1).astype(dtype))

    @pytest.mark.parametrize("shape", [(48, 48), (1, 48, 48), (2, 3, 48, 48), (2, 1, 47, 48), (2, 48, 48, 1), (0,)])
    def test_wrong_shape(self, engine: Engine, shape):
        with pytest.raises(EngineError, match=r"images have shape \(.*\), expected \(N, 1, 48, 48\)"):
            engine.infer(np.zeros(shape, dtype=np.uint8))

    def test_result_is_owned_by_the_caller(self, engine: Engine):
        images = images_of(4)
        first = engine.infer(images)
        kept = first.copy()
        images[:] = 255 - images
        engine.infer(images)
        np.testing.assert_array_equal(first, kept)
        first[:] = 99.0
        np.testing.assert_array_equal(engine.infer(images_of(4)), kept)

    def test_input_is_left_alone(self, engine: Engine):
        images = images_of(4)
        engine.infer(images)
        np.testing.assert_array_equal(images, images_of(4))

    @pytest.mark.parametrize(
        "view",
        [
            pytest.param(lambda x: x[::2], id="strided"),
            pytest.param(lambda x: x[..., ::-1], id="mirrored"),
            pytest.param(lambda x: x.swapaxes(2, 3), id="transposed"),
            pytest.param(lambda x: np.broadcast_to(x[:1], (4, 1, 48, 48)), id="broadcast"),
        ],
    )
    def test_non_contiguous_input(self, engine: Engine, view):
        images = view(images_of(8))
        np.testing.assert_array_equal(engine.infer(images), engine.infer(images.copy(order="C")))

    def test_read_only_input(self, engine: Engine):
        images = images_of(2)
        images.flags.writeable = False
        np.testing.assert_array_equal(engine.infer(images), engine.infer(images_of(2)))

    def test_describes_itself(self, engine: Engine):
        assert engine.description
        assert engine.spec.input.name == "images"
        assert all(isinstance(text, str) for pair in engine.settings.items() for text in pair)


@pytest.mark.parametrize("kind", ["fake", "onnxruntime", pytest.param("openvino", marks=needs_openvino), "torch"])
def test_close_twice(kind: str, request):
    opened = {
        "fake": FakeEngine,
        "onnxruntime": lambda: open_engine(request.getfixturevalue("tiny_onnx"), device="cpu"),
        "openvino": lambda: open_engine(request.getfixturevalue("tiny_onnx"), device="openvino"),
        "torch": lambda: TorchEngine.open(request.getfixturevalue("tiny_release"), device="cpu"),
    }[kind]()
    with opened:
        opened.close()
    opened.close()


def test_torch_engine_without_cuda(monkeypatch, tiny_release):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(EngineError, match="cuda"):
        TorchEngine.open(tiny_release, device="cuda")


def test_fake_engine_fails_when_told():
    fake = FakeEngine(fail_at_call=1)
    fake.infer(images_of(2))
    with pytest.raises(EngineError, match="told to fail at call 1"):
        fake.infer(images_of(3))
    assert fake.batch_sizes == [2]
