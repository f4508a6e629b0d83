"""Fixtures of several modules here: an export in seconds, models for the plan builder, cameras on the network."""

import shutil
from pathlib import Path

import onnx
import pytest
from integration import plan_models
from integration.export_models import write_faces
from integration.mjpeg_server import MjpegServer
from integration.rtsp_server import RtspServer
from live.triton_server import install_server

from fer_deploy.export import pipeline
from fer_deploy.export.verify import preparation
from fer_deploy.export.verify.portrait import portrait_faces
from fer_deploy.live.sources import watchdog


@pytest.fixture
def quick_export(monkeypatch, small_network, small_onnx):
    """Seconds spared: the graph is a copy of `small_onnx`, compared on few faces; all around it is real."""
    monkeypatch.setattr(preparation, "portrait_faces", lambda spec: portrait_faces(spec)[::27])
    monkeypatch.setattr(pipeline, "write_onnx", lambda graph, spec, path, opset: shutil.copy(small_onnx, path))


@pytest.fixture
def out(tmp_path) -> Path:
    """A folder with what an earlier export left."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("small-fp32.onnx", "small-fp16.onnx", "report.json", "report.md"):
        (out / name).write_bytes(f"old {name}".encode())
    return out


@pytest.fixture(scope="session")
def faces_csv(tmp_path_factory) -> Path:
    return write_faces(tmp_path_factory.mktemp("faces") / "fer2013.csv", {"Training": 40, "PublicTest": 35})


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> dict[str, onnx.ModelProto]:
    """One small network in every type that the project ships."""
    fp32 = plan_models.fp32_model()
    int8 = plan_models.int8_model(fp32, tmp_path_factory.mktemp("int8"))
    half_int8 = plan_models.labelled(plan_models.fp16_model(int8), "int8")
    return {"fp32": fp32, "fp16": plan_models.fp16_model(fp32), "int8": int8, "int8_half": half_int8}


@pytest.fixture
def save_model(tmp_path):
    def write(model: onnx.ModelProto, name: str = "tiny.onnx") -> Path:
        onnx.save(model, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(params=[MjpegServer, RtspServer])
def camera(request):
    """A camera on the network, of each kind."""
    with request.param() as server:
        yield server


@pytest.fixture
def mjpeg_camera():
    with MjpegServer() as server:
        yield server


@pytest.fixture(scope="session")
def tritonserver(tmp_path_factory) -> Path:
    """Folder of an installed Triton server, for `TritonServer`."""
    folder = tmp_path_factory.mktemp("tritonserver")
    if reason := install_server(folder):
        pytest.skip(f"no Triton server: {reason}")
    return folder


@pytest.fixture
def no_delay(monkeypatch):
    """Connecting again takes no pauses worth waiting for."""
    monkeypatch.setattr(watchdog, "MAX_DELAY_S", 0.05)
