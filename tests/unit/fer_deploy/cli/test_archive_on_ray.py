"""The flags of fer-deploy archive run --ray, and what is said where Ray or its cluster is missing."""

import os
import signal
import sys

import pytest
from click.testing import CliRunner
from integration.analyze_videos import write_squares

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.cli import main
from fer_deploy.cli.archive.run_on_ray import needs_gpu, with_absolute_paths


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    film = write_squares(folder / "film.mp4", 30)
    words = ["archive", "plan", str(film), "--out", str(folder / "out"), "--pilot", "0", "--detector", "haar"]
    assert CliRunner().invoke(main, words).exit_code == 0
    return folder / "out"


def run(out, *flags: object):
    return CliRunner().invoke(main, ["archive", "run", str(out), *map(str, flags)])


def test_without_ray_the_package_is_named(out, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    done = run(out, "--ray", "auto")
    assert done.exit_code == 3
    assert "--ray needs ray, which is not installed. Fix: pip install 'fer-toolchain[cpu,ray]'" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (("--min-jobs", 2), 2, "--min-jobs has no effect without --ray. Fix: --ray auto, or leave --min-jobs out"),
        (("--ray", "local", "--min-jobs", 3, "--jobs", 2), 2, "--min-jobs is 3 and --jobs is 2. Fix: --min-jobs 2"),
        (("--ray", "ray://head:10001"), 2, "Ray Client is not supported. Fix: run the command on a node"),
        (("--ray", "head"), 2, "--ray is head, expected auto, local or HOST:PORT. Fix: --ray head:6379"),
        (("--ray", "127.0.0.1:1"), 7, "--ray 127.0.0.1:1: nothing answers there (Connection refused). Fix: ray start"),
    ],
)
def test_flags_that_cannot_be_used(out, flags, code, text):
    done = run(out, *flags)
    assert done.exit_code == code, done.output
    assert text in done.stderr


def test_a_machine_without_a_cluster(out, monkeypatch):
    ray = pytest.importorskip("ray")

    def init(**_):
        raise ConnectionError("no cluster")

    monkeypatch.setattr(ray, "init", init)
    done = run(out, "--ray", "auto")
    assert done.exit_code == 7
    assert "--ray auto: no Ray cluster runs on this machine. Fix: ray start --head" in done.stderr
    assert "--ray local for this machine alone" in done.stderr


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (
            Exception("The current node timed out during startup."),
            "The current node timed out during startup. Fix: try",
        ),
        (RuntimeError("Failed to start\nthe GCS"), "Failed to start the GCS. Fix: try"),
    ],
)
def test_ray_that_does_not_start(out, monkeypatch, fault, text):
    ray = pytest.importorskip("ray")

    def init(**_):
        raise fault

    monkeypatch.setattr(ray, "init", init)
    done = run(out, "--ray", "local")
    assert done.exit_code == 7
    assert f"error: --ray local: Ray does not start on this machine: {text} again" in done.stderr
    assert "no node of that cluster" not in done.stderr


def test_models_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").touch()
    detection = {"detector": "yunet", "detector_model": "yunet.onnx"}
    config = AnalyzeConfig.model_validate({"out": ".", "engine": "net.onnx", "detection": detection})
    found = with_absolute_paths(config)
    assert (found.engine, found.detection.detector_model) == (tmp_path / "net.onnx", tmp_path / "yunet.onnx")
    detection["detector_model"] = "triton://host:8001/yunet"
    served = AnalyzeConfig.model_validate({"out": ".", "engine": "triton://host:8001/net", "detection": detection})
    assert with_absolute_paths(served) == served


@pytest.mark.parametrize(
    ("settings", "wanted"), [({}, False), ({"device": "cuda"}, True), ({"engine": "net.plan"}, True)]
)
def test_workers_with_a_gpu_engine_ask_for_a_gpu(settings, wanted):
    assert needs_gpu(AnalyzeConfig.model_validate({"out": ".", **settings})) is wanted


def test_what_the_signal_ended_beside_the_run_is_no_failure(out, monkeypatch):
    ray = pytest.importorskip("ray")

    def init(**_):
        os.kill(os.getpid(), signal.SIGTERM)
        raise ConnectionError("a process of Ray has ended")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(sys, "argv", ["fer-deploy", "archive", "run", str(out), "--ray", "auto"])
    done = run(out, "--ray", "auto")
    assert done.exit_code == 143
    after, stopped = done.stderr.splitlines()[-2:]
    assert after == "after the signal: --ray auto: no Ray cluster runs on this machine"
    assert stopped == f"stopped: finished segments are kept. To go on: fer-deploy archive run {out} --ray auto"
