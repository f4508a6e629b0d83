"""When a file is tried in another process, and what becomes of that process."""

import io
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.engines.network import open_network
from fer_deploy.engines.onnx_file import trial as onnx_trial
from fer_deploy.engines.onnx_file import trial_process as onnx_trial_process
from fer_deploy.engines.onnx_file.trial import Trial, try_outside
from fer_deploy.errors import EngineError
from fer_deploy.spec import Precision

HIDDEN = "its node 'n' (NonZero)"
ORDERS = {"limit_s": 60.0, "sizes": [1, 2], "threads": 1, "optimized": True}


def counting_file(shape=("batch", 1, 8, 8)) -> bytes:
    """Return a small file whose sizes come from data: where its input is not zero."""
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"], name="n"),
        helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def trial(content: bytes = b"") -> Trial:
    return Trial(content or counting_file(), Path("a.onnx"), HIDDEN, (1, 2), 1, optimized=True)


@pytest.fixture
def no_process(monkeypatch):
    def refuse(*_: object, **__: object):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.usefixtures("no_process")
class TestNoProcess:
    @pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
    @pytest.mark.parametrize("family", ["ferplus", "nano-ferplus", "fer2013"])
    def test_bundled_models(self, precision, family):
        open_engine(bundled_model(precision, family), device="cpu").close()

    def test_an_export_of_a_convolutional_network(self, tiny_onnx):
        open_engine(tiny_onnx, device="cpu").close()

    def test_yunet(self, shared_dir):
        open_network(shared_dir / "models/face_detection_yunet_2026may.onnx", fix="")


class TestTrial:
    def test_a_small_file_is_opened(self, tmp_path):
        path = tmp_path / "counting.onnx"
        path.write_bytes(counting_file(shape=(1, "height")))
        found = open_network(path, fix="").run({"x": np.array([[0, 7, 0, 7]], dtype=np.float32)})
        assert found["y"].tolist() == [[0, 0], [1, 3]]

    def test_what_onnx_runtime_refuses_is_left_to_the_next(self):
        try_outside(trial(b"\xff\xff\xff"), fix="F")

    def test_a_process_that_crashes(self, monkeypatch):
        monkeypatch.setattr(onnx_trial, "_PROGRAM", "import os; os.kill(os.getpid(), 9)")
        words = r"cannot use a\.onnx: the process in which it was tried ended with signal 9, expected 0; .* Fix: F$"
        with pytest.raises(EngineError, match=words):
            try_outside(trial(), fix="F")

    def test_a_process_that_fails(self, monkeypatch):
        monkeypatch.setattr(onnx_trial, "_PROGRAM", "import sys; sys.exit(3)")
        with pytest.raises(EngineError, match="ended with exit code 3, expected 0"):
            try_outside(trial(), fix="F")

    def test_no_process_starts(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
        words = r"a\.onnx: .* because of its node 'n' \(NonZero\), and no process starts .*No such file.* Fix: "
        with pytest.raises(EngineError, match=words):
            try_outside(trial(), fix="F")

    def test_whatever_ends_the_wait_ends_the_process(self, monkeypatch):
        """A signal is raised as `Stopped` in the main thread, which waits."""
        started = []
        wait = subprocess.Popen.communicate

        def stopped(process, *arguments, **options):
            started.append(process)
            raise KeyboardInterrupt

        monkeypatch.setattr(onnx_trial, "_PROGRAM", "import threading; threading.Event().wait(60)")
        monkeypatch.setattr(subprocess.Popen, "communicate", stopped)
        with pytest.raises(KeyboardInterrupt):
            try_outside(trial(), fix="F")
        monkeypatch.setattr(subprocess.Popen, "communicate", wait)
        assert [process.returncode for process in started] == [-signal.SIGKILL]


class TestProcess:
    """The other process, run in this one."""

    @pytest.fixture
    def timer(self, monkeypatch):
        set_to = []
        monkeypatch.setattr(signal, "signal", lambda number, handler: set_to.append((number, handler)))
        monkeypatch.setattr(signal, "setitimer", lambda which, seconds: set_to.append((which, seconds)))
        return set_to

    def test_runs_each_size_and_ends_itself_in_time(self, monkeypatch, timer):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(counting_file())))
        shapes, run = [], onnx_trial_process.OnnxRuntimeNetwork.run

        def noted(network, tensors):
            shapes.append({name: (value.shape, value.dtype.name) for name, value in tensors.items()})
            return run(network, tensors)

        monkeypatch.setattr(onnx_trial_process.OnnxRuntimeNetwork, "run", noted)
        onnx_trial_process.main(ORDERS)
        assert shapes == [{"x": ((size, 1, 8, 8), "float32")} for size in (1, 2)]
        assert timer == [(signal.SIGALRM, signal.SIG_DFL), (signal.ITIMER_REAL, 60.0)]

    @pytest.mark.usefixtures("timer")
    @pytest.mark.parametrize(
        "content", [b"", b"\xff\xff", counting_file(("batch", 2**40, 2**40)), counting_file(("n", -3))]
    )
    def test_what_cannot_be_run_is_no_failure_of_its_own(self, monkeypatch, content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        onnx_trial_process.main(ORDERS)
