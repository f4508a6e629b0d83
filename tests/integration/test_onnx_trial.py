"""Files whose work is not known before they run, as a user meets them."""

import signal
import subprocess
import sys
from pathlib import Path

import onnxruntime as ort
import pytest
import torch
from fuzz import onnx_arithmetic_bombs
from integration.source_watching import wait_until

from fer_deploy.engines import open_engine
from fer_deploy.engines.onnxruntime import session as onnxruntime_session
from fer_deploy.export.graph.to_onnx import write_onnx
from fer_deploy.export.verify.torch_engine import DeployedGraph
from fer_deploy.spec import SPEC_KEY, spec_from_json
from fer_train.models import build_model


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_ticks(pid: int) -> int:
    """Return the CPU time that a process has taken, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc")
@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        (("image", "face.png"), signal.SIGTERM, 143),
        (("image", "face.png"), signal.SIGINT, 130),
        (("live", "--no-display", "--source", "synthetic"), signal.SIGTERM, 0),
    ],
)
def test_a_signal_ends_both_processes(tmp_path, command, number, code):
    (tmp_path / "bomb.onnx").write_bytes(onnx_arithmetic_bombs.computed_size_of_constants().SerializeToString())
    (tmp_path / "face.png").write_bytes(b"never read")
    process = subprocess.Popen(
        [sys.executable, "-m", "fer_deploy", *command, "--engine", "bomb.onnx", "--device", "cpu"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: process.poll() is not None or children(process.pid))
        (child,) = children(process.pid)
        wait_until(lambda: process.poll() is not None or cpu_ticks(child) > 20)  # Popen has returned
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)  # the trial itself may take 60
    finally:
        process.kill()
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    assert not Path(f"/proc/{child}").exists()


def test_an_exported_vit_is_tried_and_opened(tmp_path, tiny_onnx, monkeypatch):
    """The Expand of its class token hides the sizes."""
    metadata = ort.InferenceSession(tiny_onnx).get_modelmeta().custom_metadata_map
    spec = spec_from_json(metadata[SPEC_KEY], where="tiny")
    monkeypatch.setattr("fer_train.models.vit.NUM_LAYERS", 1)
    vit = build_model("vit", num_classes=len(spec.labels)).eval()
    path = tmp_path / "vit.onnx"
    write_onnx(DeployedGraph(vit, spec).eval(), spec, path, opset=20)
    tried, try_outside = [], onnxruntime_session.try_outside
    monkeypatch.setattr(
        onnxruntime_session, "try_outside", lambda trial, *, fix: (tried.append(trial), try_outside(trial, fix=fix))
    )
    with open_engine(path, device="cpu") as engine:
        images = torch.randint(0, 256, (3, 1, spec.input.height, spec.input.width), dtype=torch.uint8)
        logits = torch.from_numpy(engine.infer(images.numpy()))
        with torch.inference_mode():
            assert torch.allclose(logits, DeployedGraph(vit, spec).eval()(images), atol=1e-3)
    (trial,) = tried
    assert trial.content == path.read_bytes()
    assert "(Expand)" in trial.hidden
