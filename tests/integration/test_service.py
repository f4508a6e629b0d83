"""fer-deploy live as a service: a real run tells systemd its state, reloads its config, logs JSON, exports metrics."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from fer_deploy.live.service.reload import RELOADABLE

pytestmark = pytest.mark.slow  # one run for all, with three reloads
REPO = Path(__file__).parents[2]
TOKEN = "a-token-of-the-test"
CONFIG = "source: synthetic\noutput: {display: false}\ndetection: {detector: haar}\n"
PATIENCE_S = 60


@dataclass
class Service:
    """What a run said: datagrams to systemd, objects on standard error, and its metrics."""

    told: list[list[str]]
    log: list[dict[str, str]]
    metrics: str
    health: int
    exit_code: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def health_at(port: int) -> int:
    """Return the exit code of the image's health check."""
    environ = {**os.environ, "FER_LIVE_SERVE": f"0.0.0.0:{port}"}
    return subprocess.run([sys.executable, REPO / "deploy" / "healthcheck.py"], env=environ, check=False).returncode


def metrics_at(port: int) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> Service:
    """Run until the first frame, reload a good, a broken and a refused config, scrape, and stop."""
    folder = tmp_path_factory.mktemp("service")
    config, log, port = folder / "live.yaml", folder / "log", free_port()
    config.write_text(CONFIG)
    reloads = [
        CONFIG + "pipeline: {detect_every: 3, people: {smoothing_s: 0.5}}\n",
        "source: [\n",
        CONFIG.replace("synthetic", "0"),
    ]
    told: list[list[str]] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening, log.open("wb") as errors:
        name = f"fer-test-{os.getpid()}-{time.monotonic_ns()}"
        listening.bind(f"\0{name}")
        listening.settimeout(PATIENCE_S)
        environ = {
            **os.environ,
            "NOTIFY_SOCKET": f"@{name}",
            "WATCHDOG_USEC": "1000000",
            "FER_LOG_FORMAT": "json",
            "FER_LIVE_SERVE": str(port),
            "FER_SERVE_TOKEN": TOKEN,
            "FER_LIVE_SORCE": "rtsp://bob:geheim@cam",
        }
        line = [sys.executable, "-m", "fer_deploy", "live", "--config", config]
        process = subprocess.Popen(line, env=environ, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            metrics, health = "", -1
            while not told or "STOPPING=1" not in told[-1]:
                told.append(listening.recv(4096).decode().splitlines())
                if "WATCHDOG=1" not in told[-1] or metrics:
                    continue
                if reloads and log.read_text().count("config") >= 3 - len(reloads):  # the one before is done
                    config.write_text(reloads.pop(0))
                    process.send_signal(signal.SIGHUP)
                elif not reloads and "another source" in log.read_text():
                    seen = metrics_at(port)
                    if 'stage="total"' not in seen:  # no frame since the reload yet
                        continue
                    metrics, health = seen, health_at(port)
                    process.send_signal(signal.SIGTERM)
            code = process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()
    return Service(told, [json.loads(line) for line in log.read_text().splitlines()], metrics, health, code)


def test_it_is_ready_with_its_first_frame_and_ends_cleanly(service):
    assert service.told[0] == ["STATUS=waiting for the first frame"]
    (ready,) = [lines for lines in service.told if "READY=1" in lines and len(lines) > 1]
    assert ready[1] == "WATCHDOG=1"
    assert re.fullmatch(r"STATUS=[\d,]+ frames, [\d.]+ a second, 1 of 1 sources deliver", ready[2])
    assert service.told[-1][0] == "STOPPING=1"
    assert service.exit_code == 0


def test_the_health_check_of_the_image_finds_it_well(service):
    assert service.health == 0


def test_each_reload_is_announced(service):
    begun = [lines for lines in service.told if lines[0] == "RELOADING=1"]
    assert len(begun) == 3
    assert service.told.count(["READY=1"]) == 3


def test_the_log_is_json_and_tells_each_reload(service):
    assert all(set(one) >= {"time", "level", "logger", "message"} for one in service.log)
    said = [
        (one["level"], one["message"]) for one in service.log if one["message"].startswith(("config", "the config"))
    ]
    assert said[0] == (
        "info",
        "config reloaded: pipeline.detect_every auto -> 3; pipeline.people.smoothing_s 0.25 -> 0.5",
    )
    assert said[1][0] == "warning"
    assert said[1][1].startswith("the config was not reloaded, and the run goes on with its settings: ")
    assert sorted(said[2:]) == [
        ("info", "config reloaded: pipeline.detect_every 3 -> auto; pipeline.people.smoothing_s 0.5 -> 0.25"),
        ("warning", "the config has another source; the run keeps its own. Fix: restart it"),
    ]


def test_an_unknown_variable_is_warned_of_and_no_secret_is_shown(service):
    assert any("did you mean FER_LIVE_SOURCE?" in one["message"] for one in service.log)
    text = json.dumps([service.log, service.told])
    assert "geheim" not in text
    assert TOKEN not in text


def test_every_metric_of_the_dashboard_is_exported(service):
    exported = set(re.findall(r"^(fer_live_\w+)", service.metrics, re.MULTILINE))
    dashboard = json.loads((REPO / "deploy" / "grafana" / "fer-live.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in dashboard["templating"]["list"]]
    used = {name for query in queries for name in re.findall(r"\bfer_live_\w+", query)}
    assert used <= exported
    assert len(used) > 20
    hidden = {name for name in exported - used if not name.endswith("_created")}
    assert hidden == set()  # a metric that is exported has a panel


def test_labels_of_the_dashboard_are_exported(service):
    dashboard = (REPO / "deploy" / "grafana" / "fer-live.json").read_text()
    for name, label, value in re.findall(r'(fer_live_\w+)\{job=\\"\$job\\",(\w+)=\\"([\w.]+)\\"', dashboard):
        assert re.search(rf'^{name}\{{[^}}]*{label}="{value}"', service.metrics, re.MULTILINE), (name, label, value)


def test_a_legend_names_what_tells_its_lines_apart(service):
    """Of two boxes, and of a box with two cameras."""
    board = json.loads((REPO / "deploy" / "grafana" / "fer-live.json").read_text())
    targets = [target for panel in board["panels"] if panel["type"] != "table" for target in panel["targets"]]
    for target in targets:
        apart = set(re.findall(r"by \((\w+)\)", target["expr"]))
        for name in set(re.findall(r"fer_live_\w+", target["expr"])) if not apart else ():
            sample = re.search(rf"^{name}\{{([^}}]*)\}}", service.metrics, re.MULTILINE)
            apart |= {"instance", *re.findall(r'(\w+)="', sample[1] if sample else "")}
        fixed = set(re.findall(r'[,{](\w+)=~?"', target["expr"])) - {"job"}
        assert apart - fixed <= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), target


def test_what_can_be_reloaded_is_on_the_page():
    page = (REPO / "docs" / "deploy.md").read_text()
    assert all(f"- `{key}`" in page for key in RELOADABLE)
