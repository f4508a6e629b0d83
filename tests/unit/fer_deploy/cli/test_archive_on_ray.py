"""The flags of fer-deploy archive run --ray, and what is said where Ray or its cluster is missing."""

import sys

import pytest
from click.testing import CliRunner
from integration.analyze_videos import write_squares

from fer_deploy.cli import main


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
