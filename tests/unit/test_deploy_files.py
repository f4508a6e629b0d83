"""deploy/: the unit, the image and its health check name what exists. Compose files are in `test_deploy_compose`."""

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
from unit.deploy_files import DEPLOY, KNOWN, parse
from unit.programs import REPO

from fer_deploy.detectors import yunet_file
from fer_deploy.errors import FerDeployError
from fer_deploy.live.config import LiveConfig
from fer_deploy.live.ending import CLOSE_S
from fer_deploy.live.serve.health import STUCK_S

UNIT = DEPLOY / "fer-live.service"
OF_THE_BUILD = {"FER_RUNTIME"}
MOST_EXPOSED = 25
"""Of `systemd-analyze security`, in tenths; 0 is the best, 100 the worst."""


def unit_values(key: str) -> list[str]:
    return [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{key}=")]


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
        texts = [(DEPLOY / "Dockerfile").read_text(), (DEPLOY / "compose.triton.yaml").read_text()]
        texts.append((REPO / "docs" / "deploy.md").read_text())
        runtimes = re.findall(r"FER_RUNTIME=(\S+)", texts[0])
        others = [
            re.findall(r"^(?:ARG | +|docker build .*)FER_EXTRAS(?:=|: )([\w,-]+)", text, re.MULTILINE) for text in texts
        ]
        assert (len(runtimes), *map(len, others)) == (3, 1, 1, 1)
        for names in [*runtimes, *(names for found in others for names in found)]:
            assert set(names.split(",")) <= set(extras)

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
