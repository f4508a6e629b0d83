"""An engine on a real Triton Inference Server: same logits, several cameras, a server that is killed and comes back."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from integration.source_watching import wait_until
from live.triton_server import TritonServer
from shared_memory import both_ways
from unit.programs import REPO

from fer_deploy.artifacts import file_sha256
from fer_deploy.engines import model_sha256, open_engine
from fer_deploy.engines.triton import engine as module
from fer_deploy.errors import ArtifactError, ConfigError, EngineError
from fer_deploy.export.triton.model import TritonSettings
from fer_deploy.export.triton.repository import write_triton_repository
from fer_deploy.live.ending import ENGINE_S

pytestmark = pytest.mark.slow
FACES = np.random.default_rng(3).integers(0, 256, (70, 1, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def repository(tmp_path_factory, tiny_onnx):
    folder = tmp_path_factory.mktemp("repository")
    write_triton_repository([tiny_onnx], folder, settings=TritonSettings(max_queue_delay_us=20_000, warmup="off"))
    return folder


@pytest.fixture(scope="module")
def server(tritonserver, repository, tmp_path_factory):
    with TritonServer(tritonserver, repository, tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running


@pytest.fixture(scope="module")
def name(repository):
    (folder,) = repository.iterdir()
    return folder.name


def test_logits_are_those_of_the_file(server, name, tiny_onnx):
    with open_engine(server.address(name)) as served, open_engine(tiny_onnx, device="cpu", threads=1) as local:
        assert served.spec == local.spec
        assert served.description.startswith("Triton 2.")
        assert served.settings["max_batch"] == "64"
        for num in (0, 1, 3, 64, 70):  # 70 are two requests
            np.testing.assert_allclose(served.infer(FACES[:num]), local.infer(FACES[:num]), atol=1e-4)


def test_a_version_may_be_named(server, name):
    with open_engine(f"{server.address(name)}/1") as engine:
        assert f"{name} version 1" in engine.description
    with pytest.raises(EngineError, match=r"cannot be used: .*version.*Fix: check name and version"):
        open_engine(f"{server.address(name)}/7")


def test_a_model_that_is_not_there(server):
    with pytest.raises(
        EngineError, match=r"triton://127.0.0.1:\d+/absent cannot be used: .*Fix: check name and version: curl"
    ):
        open_engine(server.address("absent"))


def test_a_server_without_tls(server, name):
    plain = server.address(name)
    with pytest.raises(EngineError, match=rf"handshake failed.*Fix: {plain} if the server has no TLS, or"):
        open_engine(plain.replace("triton://", "tritons://"))


def test_the_digest_is_that_of_the_file(server, name, tiny_onnx):
    assert model_sha256(Path(server.address(name))) == file_sha256(tiny_onnx)  # so an analysis may go on with either


def test_calls_of_several_threads_are_gathered(server, name):
    server.batches.write_text("")
    with open_engine(server.address(name)) as engine:
        wanted = engine.infer(FACES[:16])
        found = {}

        def ask(index):
            for _ in range(5):
                found[index] = engine.infer(FACES[index : index + 1])[0]

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_allclose([found[index] for index in range(16)], wanted, atol=1e-4)
    batches = server.numbers_of_batches()
    assert sum(images for _, images in batches) == 16 + 16 * 5
    assert max(requests for requests, _ in batches) > 1


def test_shared_memory_gives_the_same_logits(server, name):
    """benchmarks/shared_memory.py compares what it claims to."""
    with open_engine(server.address(name)) as engine:
        image, wanted = engine.spec.input.name, engine.infer(FACES[:5])
    with both_ways(f"127.0.0.1:{server.grpc}", name, image, FACES[:5]) as calls:
        for call in calls:
            np.testing.assert_array_equal(call(), wanted)


def test_every_metric_of_the_dashboard_is_told(server, name):
    with open_engine(server.address(name)) as engine:
        engine.infer(FACES[:3])
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=5) as answer:
        told = answer.read().decode()
    board = json.loads((REPO / "deploy" / "grafana" / "fer-triton.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in board["templating"]["list"]]
    used = {metric for query in queries for metric in re.findall(r"\bnv_\w+", query)}
    assert len(used) > 5
    assert [metric for metric in used if f'{metric}{{model="{name}"' not in told] == []


def test_a_server_that_is_killed_is_waited_for(server, name, caplog):
    with open_engine(server.address(name)) as engine:
        wanted = engine.infer(FACES[:2])
        server.kill()
        back = threading.Timer(1.0, server.start, kwargs={"wait": False})
        back.start()
        try:
            np.testing.assert_allclose(engine.infer(FACES[:2]), wanted, atol=1e-4)
        finally:
            back.join()
    first, last = caplog.records[0].message, caplog.records[-1].message
    assert f"{server.address(name)} is away (" in first
    assert f"{server.address(name)} is back after " in last


def test_a_server_that_stays_away_fails_the_call_in_words(server, name, monkeypatch):
    engine = module.TritonEngine.open(server.address(name), away_limit_s=0.5)
    server.kill()
    try:
        with pytest.raises(EngineError, match=r"has been away for 1? ?\d* ?s: .*Fix: start its server again"):
            engine.infer(FACES[:1])
    finally:
        engine.close()
        server.start()


def test_close_ends_a_call_that_waits(server, name):
    engine = open_engine(server.address(name))
    server.kill()
    try:
        threading.Timer(0.5, engine.close).start()
        started = time.monotonic()
        with pytest.raises(EngineError, match="has been away"):
            engine.infer(FACES[:1])
        assert time.monotonic() - started < module.AWAY_LIMIT_S / 2
    finally:
        server.start()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(FACES[:1])


def test_a_run_that_is_stopped_meanwhile_ends_at_once(server, name, tmp_path):
    """Ctrl-C and SIGTERM must not wait for the server: service managers kill what does not end."""
    lines = tmp_path / "a.jsonl"
    command = [
        sys.executable,
        "-m",
        "fer_deploy",
        "live",
        "--source",
        "synthetic",
        "--no-display",
        "--detector",
        "haar",
        "--jsonl",
        str(lines),
        "--engine",
        server.address(name),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: (lines.exists() and lines.read_text().count("\n") > 3) or process.poll() is not None)
        server.kill()
        assert process.stderr is not None
        assert any("is away" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=ENGINE_S / 2)
    finally:
        process.kill()
        server.start()
    assert process.returncode == 0, stderr
    assert "error [" not in stderr


def test_another_model_after_a_restart_is_refused(server, name, repository):
    config = repository / name / "config.pbtxt"
    before = config.read_text()
    with open_engine(server.address(name)) as engine:
        server.kill()
        try:
            config.write_text(before.replace(engine.settings["model_sha256"], "0" * 64))
            server.start(wait=False)
            with pytest.raises(EngineError, match=r"came back with another model: sha256 000000000000\.\.\., before "):
                engine.infer(FACES[:1])
        finally:
            server.kill()
            config.write_text(before)
            server.start()


def test_a_model_without_modelspec(server, name, repository, tritonserver, tmp_path):
    shutil.copytree(repository / name, tmp_path / "models" / name)
    config = tmp_path / "models" / name / "config.pbtxt"
    config.write_text(config.read_text().replace("fer_model_spec", "other"))
    with (
        TritonServer(tritonserver, tmp_path / "models", tmp_path / "log") as other,
        pytest.raises(
            ArtifactError, match=r"has no ModelSpec.*Fix: write the server's repository with fer-deploy triton"
        ),
    ):
        open_engine(other.address(name))


def test_nobody_there():
    with pytest.raises(EngineError, match=r"cannot be used: .*Fix: start tritonserver, and check that 127.0.0.1:1 is"):
        open_engine("triton://127.0.0.1:1/net")


def test_a_device_is_the_servers_choice(server, name):
    with pytest.raises(ConfigError, match=r"runs where its server decides. Fix: device auto"):
        open_engine(server.address(name), device="cuda")
