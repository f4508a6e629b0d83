"""A whole run on a camera whose address is full of secrets: none of them in anything that is printed or written."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from integration.source_watching import wait_until

LOGIN = "Operator:Geheim-4711"
TOKEN, SESSION, FRAGMENT = "9f86d081884c7d65", "Zx81Zx81", "Kuckuck"
OWN_TOKEN = "horse-battery-staple"
SECRETS = ("Operator", "Geheim", TOKEN, SESSION, FRAGMENT, OWN_TOKEN)


def descendants(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(word) for word in text.split()]
    return [*found, *(one for child in found for one in descendants(child))]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc")
def test_no_secret_is_left_anywhere(tmp_path, mjpeg_camera):
    host = f"127.0.0.1:{mjpeg_camera.port}"
    (tmp_path / "live.yaml").write_text(
        f"source: ['http://{LOGIN}@{host}/{TOKEN}/cam?session={SESSION}&w=1#tok={FRAGMENT}']\n"
    )
    command = [
        sys.executable,
        "-m",
        "fer_deploy",
        "live",
        "--config",
        "live.yaml",
        "--no-display",
        "--detector",
        "haar",
        "--serve",
        "127.0.0.1:0",
        "--jsonl",
        "a.jsonl",
        "--csv",
        "a.csv",
        "--json",
    ]
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "FER_SERVE_TOKEN": OWN_TOKEN},
            text=True,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        wait_until(lambda: (tmp_path / "a.jsonl").exists() and (tmp_path / "a.jsonl").read_text().count("\n") > 3)
        page = re.search(r"^page: (http://127\.0\.0\.1:\d+)/ ", (tmp_path / "stderr").read_text(), re.MULTILINE)
        assert page is not None
        request = urllib.request.Request(f"{page[1]}/metrics", headers={"Authorization": f"Bearer {OWN_TOKEN}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            metrics = answer.read().decode()
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in descendants(process.pid)]
        process.send_signal(signal.SIGTERM)
        stdout, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
    assert commands
    shown = f"http://***@{host}/***/cam?session=***&w=***#***"
    assert json.loads(stdout)["sources"][0]["name"] == shown
    assert shown in metrics
    written = [path.read_text() for path in tmp_path.iterdir() if path.name != "live.yaml"]
    for text in (*written, *commands, stdout, metrics):
        assert [secret for secret in SECRETS if secret in text] == []
