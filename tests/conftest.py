"""Shared fixtures, and the one place that skips what this machine lacks."""

import os

# Before torch is loaded, here and in the programs that tests start: tiny batches are faster on one thread, and threads
# that wait in a busy loop, as fer-train forbids too, take the cores from other processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import atexit
import gc
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

import fer_deploy  # noqa: F401 - before tests import onnxruntime: it switches the telemetry off
from fer_deploy.engines.threads import available_cores

REPO = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FER_SHARED", REPO.parent / "shared"))
# Tests send these signals to programs that they start; under nohup, or behind a shell's &, they would be ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
if (_CACHE / "fer-deploy" / "bench").exists():  # the models that `fer-deploy bench` found to be fast decide no test
    os.environ.setdefault("PIP_CACHE_DIR", str(_CACHE / "pip"))
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="fer-tests-cache-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
_IN_MEMORY = Path("/dev/shm")
_ROOM = 8 * 2**30
"""Bytes that must be free there; the tests' files take 0.5 GB."""
if (
    not {"PYTEST_DEBUG_TEMPROOT", "PYTEST_XDIST_WORKER"} & os.environ.keys()
    and _IN_MEMORY.is_dir()
    and shutil.disk_usage(_IN_MEMORY).free > _ROOM
):  # thousands of small files are made, synced and removed; --basetemp FOLDER keeps them
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.mkdtemp(prefix="fer-", dir=_IN_MEMORY)
    atexit.register(shutil.rmtree, os.environ["PYTEST_DEBUG_TEMPROOT"], ignore_errors=True)
GPU_REQUIRED = os.environ.get("FER_REQUIRE_GPU") == "1"


def _has_gpu() -> bool:
    import torch  # noqa: PLC0415 - seconds; only where a test asks

    return torch.cuda.is_available()


def _is_gpu(item: pytest.Item) -> bool:
    return item.get_closest_marker("gpu") is not None


def _is_shared(item: pytest.Item) -> bool:
    return item.get_closest_marker("shared") is not None or "shared_dir" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any(map(_is_gpu, items)) and not GPU_REQUIRED and not _has_gpu():
        for item in filter(_is_gpu, items):
            item.add_marker(pytest.mark.skip(reason="no CUDA device; FER_REQUIRE_GPU=1 makes this a failure"))
    if not SHARED.is_dir():
        for item in filter(_is_shared, items):
            item.add_marker(pytest.mark.skip(reason=f"no shared data at {SHARED}; set FER_SHARED"))


def pytest_xdist_auto_num_workers() -> int:
    """Return the workers of `--numprocesses auto`: the cores that may be used, not those that a container shows.

    A third worker on two cores costs more than it gains: it imports PyTorch and makes the shared fixtures once more.
    """
    return max(2, min(4, available_cores()))  # tests of one core still wait for programs; each worker takes over 1 GB


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of collected tests would be searched by each gc.collect() of the programs


def pytest_runtest_setup(item: pytest.Item) -> None:
    if GPU_REQUIRED and _is_gpu(item) and not _has_gpu():
        pytest.fail("FER_REQUIRE_GPU=1, and there is no CUDA device", pytrace=False)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The real data beside the checkout. Tests that use it are skipped where it is absent."""
    return SHARED


@pytest.fixture(scope="session")
def repo_dir() -> Path:
    return REPO


@pytest.fixture(scope="session")
def training_server(tmp_path_factory):
    """A process that has imported what training needs, and forks for each program: one for all workers of xdist."""
    from fork_server import starter  # noqa: PLC0415

    folder, owner = tmp_path_factory.getbasetemp(), os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder, owner = folder.parent, os.getppid()
    return starter.ForkServer(folder / "training-server", Path(starter.__file__).with_name("training.py"), owner)


@pytest.fixture(scope="session")
def three_faces():
    from fer_train.data.faces import Faces  # noqa: PLC0415

    return Faces(
        images=np.zeros((3, 48, 48), dtype=np.uint8),
        labels=np.arange(3, dtype=np.int64),
        splits=np.array(["Training", "Training", "PublicTest"]),
        rows=np.arange(3, dtype=np.int64),
        source_sha256="0" * 64,
    )


@pytest.fixture(scope="session")
def tiny_spec(three_faces):
    """A spec as fer_train writes it, a plain dict, with something in every field."""
    from fer_train.config import TrainConfig  # noqa: PLC0415
    from fer_train.spec import describe_model  # noqa: PLC0415

    return describe_model(TrainConfig(model="nano"), three_faces, {"PublicTest": {"accuracy": 0.25, "macro_f1": 1 / 3}})


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory, tiny_spec) -> Path:
    """An untrained Nano whose logits still tell images apart: batch norm has seen noise, the classifier is steep."""
    import torch  # noqa: PLC0415

    from fer_train.checkpoint import save_release  # noqa: PLC0415
    from fer_train.models import build_model  # noqa: PLC0415

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        model = build_model("nano", num_classes=7).train()
        for _ in range(10):
            scale = torch.rand(16, 1, 1, 1)
            model(torch.randn(16, 1, 48, 48) * scale + torch.randn(16, 1, 1, 1))
        classifier = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        classifier.weight.mul_(50)
    path = tmp_path_factory.mktemp("release") / "net.safetensors"
    save_release(path, model.eval(), tiny_spec)
    return path


@pytest.fixture(scope="session")
def tiny_export(tmp_path_factory, tiny_release):
    """What `export` returns for `tiny_release`, FP32 and FP16, judged on every ninth face; seconds, once a session."""
    from fer_deploy.export import pipeline  # noqa: PLC0415
    from fer_deploy.export.config import ExportConfig  # noqa: PLC0415
    from fer_deploy.export.verify import preparation  # noqa: PLC0415
    from fer_deploy.export.verify.portrait import portrait_faces  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "portrait_faces", lambda spec: portrait_faces(spec)[::9])
        out = tmp_path_factory.mktemp("artifacts") / "net"
        return pipeline.export(ExportConfig(checkpoint=tiny_release, out=out))


@pytest.fixture(scope="session")
def tiny_onnx(tiny_export) -> Path:
    return tiny_export.onnx


@pytest.fixture(scope="session")
def small_spec(tiny_spec):
    """ModelSpec of the network in `integration.export_models`."""
    from integration import export_models  # noqa: PLC0415

    return export_models.small_spec(tiny_spec)


@pytest.fixture(scope="session")
def small_release(tmp_path_factory, small_spec) -> Path:
    """Its release; to load it, use `small_network`, for `fer_train` has no such architecture."""
    from integration.export_models import small_model  # noqa: PLC0415

    from fer_train.checkpoint import save_release  # noqa: PLC0415

    path = tmp_path_factory.mktemp("small_release") / "small.safetensors"
    save_release(path, small_model(small_spec), small_spec.model_dump(mode="json", exclude_none=True))
    return path


@pytest.fixture
def small_network(monkeypatch):
    """`fer_train` builds the small network."""
    from integration.export_models import build_small  # noqa: PLC0415

    from fer_train import checkpoint  # noqa: PLC0415

    monkeypatch.setattr(checkpoint, "build_model", build_small)


@pytest.fixture(scope="session")
def small_onnx(tmp_path_factory, small_spec) -> Path:
    """The small residual network as PyTorch exports it, FP32."""
    from integration.export_models import small_model  # noqa: PLC0415

    from fer_deploy.export.graph.to_onnx import write_onnx  # noqa: PLC0415
    from fer_deploy.export.verify.torch_engine import DeployedGraph  # noqa: PLC0415

    path = tmp_path_factory.mktemp("small") / "small-fp32.onnx"
    write_onnx(DeployedGraph(small_model(small_spec), small_spec).eval(), small_spec, path, opset=20)
    return path


@pytest.fixture(scope="session")
def small_graph(small_onnx):
    """The same, as the quantizer wants it."""
    import onnx  # noqa: PLC0415

    from fer_deploy.export.int8.quantize import prepared  # noqa: PLC0415

    return prepared(onnx.load(small_onnx, load_external_data=False))


@pytest.fixture(scope="session")
def small_calibration(tmp_path_factory, small_graph, small_spec):
    """Ranges of `small_graph`: largest values on 32 patterns."""
    from integration.export_models import patterns  # noqa: PLC0415

    from fer_deploy.export.faces import CalibrationFaces  # noqa: PLC0415
    from fer_deploy.export.int8.calibration import Method, calibrate  # noqa: PLC0415

    faces = CalibrationFaces(patterns(32, seed=3)[0][:, None], "patterns", seed=3)
    cache = tmp_path_factory.mktemp("ranges") / "ranges.json"
    return calibrate(small_graph, small_spec, faces, method=Method.MAX, cache=cache)
