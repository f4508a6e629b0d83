"""Shared fixtures, and the one place that skips what this machine lacks."""

import os
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).parents[1]
SHARED = Path(os.environ.get("FER_SHARED", REPO.parent / "shared"))
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

    return describe_model(TrainConfig(), three_faces, {"PublicTest": {"accuracy": 0.25, "macro_f1": 1 / 3}})


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory, tiny_spec) -> Path:
    """An untrained Net whose logits still tell images apart: batch norm has seen noise, the classifier is steep."""
    import torch  # noqa: PLC0415

    from fer_train.checkpoint import save_release  # noqa: PLC0415
    from fer_train.models import build_model  # noqa: PLC0415

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(5)
        model = build_model("net", num_classes=7).train()
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
    """What `export` returns for `tiny_release`; about 15 seconds, once a session."""
    from fer_deploy.export.config import ExportConfig  # noqa: PLC0415
    from fer_deploy.export.pipeline import export  # noqa: PLC0415

    return export(ExportConfig(checkpoint=tiny_release, out=tmp_path_factory.mktemp("artifacts") / "net"))


@pytest.fixture(scope="session")
def tiny_onnx(tiny_export) -> Path:
    return tiny_export.onnx
