import os
import subprocess

import pytest

from fer_deploy.bench.machine import host as host_module
from fer_deploy.bench.machine.host import BackgroundWork, Host, background_work, computing_command


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-m", "fer_train", "train", "--out", "runs/a"], "fer-train train --out runs/a"),
        (["/venv/bin/python", "/venv/bin/fer-train", "sweep"], "fer-train sweep"),
        (["fer-train", "evaluate", "--split", "PublicTest"], "fer-train evaluate --split PublicTest"),
        (["/usr/bin/fer-deploy", "live"], "fer-deploy live"),
        (["fer-deploy", "archive", "run", "plan.json"], "fer-deploy archive run plan.json"),
        (["fer-deploy", "rebuild", "a.ferpack"], "fer-deploy rebuild a.ferpack"),
        (["fer-train", "distill", "--data", "/home/eve/faces.csv"], "fer-train distill --data faces.csv"),
        (["fer-deploy", "live", "--source", "rtsp://eve:secret@cam/1"], "fer-deploy live --source rtsp://***@cam/1"),
        (["fer-train", "--help"], None),
        (["fer-deploy", "inspect", "a.onnx"], None),
        (["grep", "fer_train", "train"], None),
        (["fer-train"], None),
        ([], None),
    ],
)
def test_commands_that_compute(words, expected):
    found = computing_command(words)
    assert (found and found.replace("...", "***")) == expected


@pytest.fixture
def processes(tmp_path):
    def add(pid, words, state="R", parent=1):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")
        (folder / "stat").write_text(f"{pid} (a name) with) {state} {parent} 0 0\n")

    (tmp_path / "meminfo").write_text("no process")
    add(1, ["init"])
    return tmp_path, add


TRAINING = ["python", "-m", "fer_train", "train"]


def test_work_of_others_is_named_with_its_pause(processes):
    folder, add = processes
    add(40, TRAINING)
    add(7, ["fer-train", "crossval"])
    add(41, TRAINING, state="T")  # already paused
    add(42, ["bash"])
    found = background_work(folder)
    assert found == (BackgroundWork(7, "fer-train crossval"), BackgroundWork(40, "fer-train train"))
    assert found[0].advice == "kill -STOP 7 pauses it, kill -CONT 7 lets it go on"


def test_this_process_and_its_parents_are_not_background_work(processes):
    folder, add = processes
    add(50, ["fer-train", "sweep"])
    add(os.getpid(), TRAINING, parent=50)
    add(51, ["fer-train", "sweep"], parent=50)
    assert [work.pid for work in background_work(folder)] == [51]


def test_a_process_that_ends_meanwhile_is_left_out(processes):
    folder, add = processes
    add(60, TRAINING)
    (folder / "60" / "stat").unlink()
    assert background_work(folder) == ()


def test_a_system_without_proc_has_none(tmp_path):
    assert background_work(tmp_path / "none") == ()


def test_the_host_says_what_a_reader_needs(monkeypatch, tmp_path):
    monkeypatch.setattr("fer_deploy.bench.machine.host._CHECKOUT", tmp_path)
    host = Host.now()
    assert (host.commit, host.is_dirty, host.load_after) == (None, None, None)
    assert 1 <= host.num_cores <= host.environment.num_cores
    found = host.ended().to_dict()
    assert found["load_after"] is not None
    assert found["environment"]["packages"]["numpy"]


def test_the_checkout_is_the_folder_beside_the_packages():
    assert (host_module._CHECKOUT / "fer_deploy" / "__init__.py").is_file()


def test_the_commit_and_whether_it_is_dirty(monkeypatch, tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr("fer_deploy.bench.machine.host._CHECKOUT", tmp_path)
    clean = Host.now()
    (tmp_path / "new").write_text("")
    dirty = Host.now()
    assert len(clean.commit) == 40
    assert (clean.is_dirty, dirty.is_dirty, clean.commit == dirty.commit) == (False, True, True)
