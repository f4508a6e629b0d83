"""deploy/: the unit, the image, compose, Prometheus and Grafana name what exists. No Docker runs here."""

import fnmatch
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from unit.programs import ALL, REPO, command_of

from fer_deploy.detectors import yunet_file
from fer_deploy.errors import FerDeployError
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.ending import CLOSE_S
from fer_deploy.live.serve.health import STUCK_S

DEPLOY = REPO / "deploy"
UNIT = DEPLOY / "fer-live.service"
KNOWN = {
    name for program, command in ALL for param in command_of(program, command).params for name in param.envvar or ()
}
KNOWN |= {"FER_YUNET"}
OF_THE_BUILD = {"FER_EXTRAS"}
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MOST_EXPOSED = 25
"""Of `systemd-analyze security`, in tenths; 0 is the best, 100 the worst."""


def unit_values(key: str) -> list[str]:
    return [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{key}=")]


def parse(words: list[str]) -> None:
    """Parse a command line of fer-deploy with the real command; it raises for what is wrong."""
    name, *args = words
    command_of("fer-deploy", name).make_context(name, args)


def dockerfile() -> list[list[str]]:
    """Return the instructions, a list of words each."""
    text = "\n".join(line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    return [shlex.split(line) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def commands_of_docker_run(page: str) -> list[list[str]]:
    """Return the command lines of the image in `docker run ... fer live ...`."""
    lines = re.findall(r"^docker run .*? fer(?::\w+)? (live .*)$", page, re.MULTILINE)
    return [shlex.split(line) for line in lines]


class TestUnit:
    def test_the_command_line_parses(self):
        program, *args = shlex.split(unit_values("ExecStart")[0])
        assert program == "/opt/fer/bin/fer-deploy"
        parse(args)

    def test_variables_exist(self):
        names = {word.partition("=")[0] for line in unit_values("Environment") for word in shlex.split(line)}
        assert names
        assert names <= KNOWN

    def test_it_restarts_on_what_may_pass(self):
        classes = [FerDeployError, *FerDeployError.__subclasses__()]
        expected = sorted({err.exit_code for err in classes if not err.restart_helps})
        assert unit_values("RestartPreventExitStatus") == [" ".join(map(str, expected))]

    def test_its_times_fit_the_loop(self):
        assert float(unit_values("TimeoutStopSec")[0]) > CLOSE_S
        assert float(unit_values("WatchdogSec")[0]) > STUCK_S

    def test_its_config_is_one_of_live(self):
        found = LiveConfig.model_validate(yaml.safe_load((DEPLOY / "live.yaml").read_text()))
        assert found.stream.keep_trying
        assert str(found.output.jsonl).startswith("/var/lib/" + unit_values("StateDirectory")[0])

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
    def test_systemd_accepts_it(self, tmp_path):
        unit = tmp_path / UNIT.name
        unit.write_text(UNIT.read_text().replace("/opt/fer/bin/fer-deploy", "/bin/true"))  # it must exist
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
    def test_it_is_confined(self):
        line = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if "unrecognized option" in done.stderr:
            pytest.skip("this systemd-analyze cannot judge a unit offline")
        assert done.returncode == 0, done.stdout[-300:]


class TestImage:
    def test_every_file_that_is_copied_exists_and_is_sent_to_the_builder(self):
        sent = [line[1:] for line in (REPO / ".dockerignore").read_text().splitlines() if line.startswith("!")]
        copied = [
            source
            for instruction, *words in dockerfile()
            if instruction == "COPY" and not any(word.startswith("--from=") for word in words)
            for source in [word for word in words if not word.startswith("--")][:-1]
        ]
        assert copied
        assert [source for source in copied if not (REPO / source).exists()] == []
        assert [source for source in copied if not any(fnmatch.fnmatch(source, pattern) for pattern in sent)] == []

    def test_stages_exist_for_every_flavor(self):
        stages = {words[-1] for instruction, *words in dockerfile() if instruction == "FROM" and "AS" in words}
        assert {"wheel", "packages", "base-cpu", "base-cuda", "base-tensorrt"} == stages

    def test_extras_exist(self, repo_dir):
        import tomllib  # noqa: PLC0415

        extras = tomllib.loads((repo_dir / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        found = re.findall(r"FER_EXTRAS=(\S+)", (DEPLOY / "Dockerfile").read_text())
        assert len(found) == 3
        assert {name for names in found for name in names.split(",")} <= set(extras)

    def test_the_last_stage_installs_nothing_and_is_not_root(self):
        lines = dockerfile()
        last = lines[max(i for i, words in enumerate(lines) if words[0] == "FROM") :]
        assert not any(tool in " ".join(words) for words in last for tool in ("pip", "apt-get", "gcc"))
        assert ["USER", "10001:10001"] in last
        assert last.index(["USER", "10001:10001"]) < [words[0] for words in last].index("ENTRYPOINT")

    def test_variables_exist(self):
        given = [word for instruction, *words in dockerfile() if instruction == "ENV" for word in words]
        names = {word.partition("=")[0] for word in given if word.startswith("FER_")}
        assert "FER_LIVE_SERVE" in names
        assert names <= KNOWN | OF_THE_BUILD

    def test_the_detector_is_the_official_file(self):
        (add,) = [words for words in dockerfile() if words[0] == "ADD"]
        assert f"--checksum=sha256:{yunet_file.SHA256}" in add
        assert yunet_file.ADDRESS in add

    def test_commands_parse(self):
        (default,) = [
            json.loads(line[4:]) for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line[:4] == "CMD "
        ]
        parse(default)
        in_docs = commands_of_docker_run((REPO / "docs" / "deploy.md").read_text())
        assert len(in_docs) == 3
        for words in in_docs:
            parse(words)

    def test_variables_of_the_page_exist(self):
        text = (REPO / "docs" / "deploy.md").read_text()
        assert set(re.findall(r"\bFER_[A-Z]+_[A-Z_]*[A-Z]\b(?=[=`])", text)) <= KNOWN


class TestCompose:
    def test_the_command_line_parses_and_variables_exist(self):
        live = COMPOSE["services"]["live"]
        parse(live["command"])
        assert set(live["environment"]) <= KNOWN

    def test_files_exist(self):
        live = COMPOSE["services"]["live"]["build"]
        assert (DEPLOY / live["context"]).resolve() == REPO
        assert (REPO / live["dockerfile"]).is_file()
        mounted = [
            volume.split(":")[0]
            for service in COMPOSE["services"].values()
            for volume in service.get("volumes", ())
            if volume.startswith("./")
        ]
        assert len(mounted) == 5
        assert [path for path in mounted if not (DEPLOY / path).is_file()] == []

    def test_volumes_and_secrets_are_declared(self):
        for service in COMPOSE["services"].values():
            named = {volume.split(":")[0] for volume in service.get("volumes", ()) if volume[0] not in "./$"}
            assert named <= set(COMPOSE["volumes"])
            assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])

    def test_live_is_confined_and_comes_back(self):
        live = COMPOSE["services"]["live"]
        assert (live["read_only"], live["cap_drop"], live["restart"]) == (True, ["ALL"], "on-failure:10")
        assert float(live["stop_grace_period"].removesuffix("s")) > CLOSE_S
        assert all(
            port.startswith("127.0.0.1:") for one in COMPOSE["services"].values() for port in one.get("ports", ())
        )

    def test_prometheus_asks_live_with_its_token(self):
        (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"]
        host, _, port = job["static_configs"][0]["targets"][0].partition(":")
        live = COMPOSE["services"][host]
        assert live["environment"]["FER_LIVE_SERVE"].endswith(f":{port}")
        secret = COMPOSE["services"]["prometheus"]["secrets"][0]
        assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
        assert COMPOSE["secrets"][secret] == {"environment": "FER_SERVE_TOKEN"}

    def test_the_clip_is_a_camera_where_live_looks_for_it(self):
        (path,) = yaml.safe_load((DEPLOY / "mediamtx.yml").read_text())["paths"]
        assert f"rtsp://camera:8554/{path}" in COMPOSE["services"]["live"]["environment"]["FER_LIVE_SOURCE"]

    def test_the_dashboard_uses_the_source_that_is_provisioned(self):
        (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text())["datasources"]
        dashboard = (DEPLOY / "grafana" / "fer-live.json").read_text()
        assert set(re.findall(r'"uid": "(fer-prometheus[^"]*)"', dashboard)) == {source["uid"]}
        assert source["url"] == "http://prometheus:9090"


class Answer(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"failed\n")

    def log_message(self, *args):
        pass


@pytest.mark.parametrize(("status", "code", "said"), [(200, 0, ""), (503, 1, "503 failed\n"), (None, 1, "refused")])
def test_the_health_check_follows_the_page(status, code, said):
    handler = type("Handler", (Answer,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"0.0.0.0:{server.server_port}"
        if status is None:
            server.server_close()
        else:
            threading.Thread(target=server.handle_request, daemon=True).start()
        done = run_health_check(address)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.strip().endswith(said.strip()) or said in done.stderr


def test_without_a_page_nothing_is_asked():
    assert run_health_check("").returncode == 0


def run_health_check(served: str) -> subprocess.CompletedProcess[str]:
    script: Path = DEPLOY / "healthcheck.py"
    environ = {**os.environ, "FER_LIVE_SERVE": served}
    return subprocess.run([sys.executable, script], env=environ, capture_output=True, text=True, check=False)
