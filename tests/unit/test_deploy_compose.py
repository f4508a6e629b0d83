"""The compose files in deploy/ name what exists, and their services find each other. No Docker runs here."""

import json
import os
import re
import shutil
import subprocess

import pytest
import yaml
from unit.deploy_files import DEPLOY, KNOWN, mounted_files, parse, services_of, volumes_of
from unit.programs import REPO, run

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines.triton.address import TritonAddress
from fer_deploy.export.triton.model import model_name
from fer_deploy.live.ending import CLOSE_S

FILES = ("compose.yaml", "compose.triton.yaml")
SERVICES = {name: services_of(name) for name in FILES}
ONE, TRITON = SERVICES["compose.yaml"], SERVICES["compose.triton.yaml"]
LIVE = [ONE["live"], TRITON["box-1"], TRITON["box-2"]]
OURS = [*LIVE, TRITON["models"]]
PROMETHEUS = {"compose.yaml": "prometheus.yml", "compose.triton.yaml": "prometheus.triton.yml"}


def jobs_of(name: str) -> dict[str, dict]:
    jobs = yaml.safe_load((DEPLOY / PROMETHEUS[name]).read_text())["scrape_configs"]
    return {job["job_name"]: job for job in jobs}


@pytest.mark.parametrize("service", OURS)
def test_commands_parse_and_variables_exist(service):
    parse(service["command"])
    assert set(service["environment"]) <= KNOWN
    assert (DEPLOY / service["build"]["context"]).resolve() == REPO
    assert (REPO / service["build"]["dockerfile"]).is_file()
    given = set(service["build"]["args"])
    assert given <= set(re.findall(r"^ARG (\w+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_files_and_volumes_exist(name):
    services, whole = SERVICES[name], yaml.safe_load((DEPLOY / name).read_text())
    mounted = mounted_files(services)
    assert len(mounted) >= 5
    assert [path for path in mounted if not path.is_file()] == []
    for service in services.values():
        assert volumes_of(service) <= set(whole["volumes"])
        assert set(service.get("secrets", ())) <= set(whole["secrets"])
        assert set(service.get("depends_on", ())) <= set(services)
    used = set().union(*map(volumes_of, services.values()))
    assert used == set(whole["volumes"])
    ports = [port.rpartition(":")[0] for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == len(set(ports))
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", LIVE)
def test_live_is_confined_and_comes_back(service):
    restart = "unless-stopped" if "FER_LIVE_ENGINE" in service["environment"] else "on-failure:10"
    assert (service["read_only"], service["cap_drop"], service["restart"]) == (True, ["ALL"], restart)
    assert float(service["stop_grace_period"].removesuffix("s")) > CLOSE_S


@pytest.mark.parametrize("name", FILES)
def test_prometheus_asks_every_live_with_its_token(name):
    services, whole = SERVICES[name], yaml.safe_load((DEPLOY / name).read_text())
    job = jobs_of(name)["fer-live"]
    targets = dict(target.split(":") for target in job["static_configs"][0]["targets"])
    assert set(targets) == {key for key, one in services.items() if "FER_LIVE_SERVE" in one.get("environment", ())}
    for host, port in targets.items():
        assert services[host]["environment"]["FER_LIVE_SERVE"].endswith(f":{port}")
    (secret,) = services["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    assert whole["secrets"][secret] == {"environment": "FER_SERVE_TOKEN"}
    assert f"./{PROMETHEUS[name]}:/etc/prometheus/prometheus.yml:ro" in services["prometheus"]["volumes"]


def test_prometheus_asks_triton():
    assert jobs_of("compose.triton.yaml")["triton"]["static_configs"] == [{"targets": ["triton:8002"]}]
    assert TRITON["triton"]["image"].startswith("nvcr.io/nvidia/tritonserver:")
    assert "--metrics-port" not in " ".join(TRITON["triton"]["command"])


def test_boxes_classify_with_the_model_that_the_repository_has():
    families = parse(TRITON["models"]["command"])["families"]
    assert families == ("ferplus",)
    for box in (TRITON["box-1"], TRITON["box-2"]):
        address = TritonAddress.parse(box["environment"]["FER_LIVE_ENGINE"])
        assert (address.host, address.port) == ("triton", 8001)
        assert address.model == model_name(bundled_model(family=families[0]))
        assert "triton" in box["build"]["args"]["FER_EXTRAS"].split(",")
        assert box["depends_on"] == {"triton": {"condition": "service_healthy"}}
    (volume,) = TRITON["triton"]["volumes"]
    source, target, mode = volume.split(":")
    assert f"--model-repository={target}" in TRITON["triton"]["command"]
    assert (mode, TRITON["models"]["volumes"]) == ("ro", [f"{source}:{parse(TRITON['models']['command'])['out']}"])
    assert TRITON["triton"]["depends_on"] == {"models": {"condition": "service_completed_successfully"}}


def test_the_repository_batches_and_every_user_may_read_it(tmp_path):
    command, *words = TRITON["models"]["command"]
    device = TRITON["models"]["environment"]["FER_TRITON_DEVICE"]
    done = run("fer-deploy", command, *words[:-1], str(tmp_path / "models"), "--device", device)
    assert done.exit_code == 0, done.output
    (model,) = (tmp_path / "models").iterdir()
    config = (model / "config.pbtxt").read_text()
    assert "dynamic_batching {" in config
    assert "KIND_CPU" in config
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in [model, *model.rglob("*")])


def test_the_gpu_file_changes_services_that_exist():
    gpu = yaml.safe_load((DEPLOY / "compose.triton-gpu.yaml").read_text())["services"]
    assert set(gpu) <= set(TRITON)
    assert gpu["models"]["environment"] == {"FER_TRITON_DEVICE": "cuda"}


def test_the_clip_is_a_camera_where_live_looks_for_it():
    (path,) = yaml.safe_load((DEPLOY / "mediamtx.yml").read_text())["paths"]
    assert all(f"rtsp://camera:8554/{path}" in live["environment"]["FER_LIVE_SOURCE"] for live in LIVE)
    assert TRITON["camera"] == ONE["camera"]


@pytest.mark.parametrize("name", FILES)
def test_dashboards_use_the_source_that_is_provisioned(name):
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana" / "dashboards.yaml").read_text())["providers"]
    assert source["url"] == "http://prometheus:9090"
    mounted = dict(volume.split(":")[:2] for volume in SERVICES[name]["grafana"]["volumes"])
    boards = [file for file, place in mounted.items() if place.startswith(provider["options"]["path"])]
    assert len(boards) == len(jobs_of(name))
    for file in boards:
        board = json.loads((DEPLOY / file).read_text())
        assert set(re.findall(r'"uid": "(fer-prometheus[^"]*)"', (DEPLOY / file).read_text())) == {source["uid"]}
        (variable,) = board["templating"]["list"]
        assert variable["current"]["value"] in jobs_of(name)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
@pytest.mark.parametrize("name", PROMETHEUS.values())
def test_prometheus_reads_its_file(name):
    words = ["promtool", "check", "config", "--syntax-only", str(DEPLOY / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compose() -> list[str]:
    """Return the command of Docker Compose; skip the test if there is none."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0
        ):
            return words
    pytest.skip("Docker Compose is not installed")


@pytest.mark.parametrize("files", [(FILES[0],), (FILES[1],), (FILES[1], "compose.triton-gpu.yaml")])
def test_compose_reads_them(files):
    words = [*compose(), *(word for name in files for word in ("--file", str(DEPLOY / name))), "config", "--quiet"]
    environment = os.environ | {"FER_SERVE_TOKEN": "choose-one", "GRAFANA_PASSWORD": "choose-another"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
