"""fer-train sweep on a Ray cluster of two nodes beside the head, with a substitute for the training itself."""

import json
import sys
import threading
import time

import psutil
import pytest
from unit.fer_train.sweep.conftest import plan  # noqa: F401 - a fixture
from unit.fer_train.sweep.sweep_cases import FAKE, short

from fer_train.cli import main
from fer_train.sweep import jobs

pytest.importorskip("ray")
from click.testing import CliRunner
from integration.ray_cluster import cluster_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """The file to which the substitute writes its commands, on every node."""
    return tmp_path_factory.mktemp("calls") / "calls"


@pytest.fixture(scope="module")
def cluster(calls):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_CALLS", str(calls))
        with cluster_of(3, cpus_of_head=0) as cluster:
            yield cluster


@pytest.fixture
def taken(calls, monkeypatch):
    calls.write_text("")
    monkeypatch.setattr(jobs, "FER_TRAIN", (sys.executable, str(FAKE)))
    return lambda: [json.loads(line) for line in calls.read_text().splitlines()]


@pytest.fixture
def sweep(cluster, tmp_path, taken):
    """Return a function that sweeps on the cluster."""

    def invoke(plan_file, *flags, code=0):
        words = ["--plan", plan_file, "--data", "faces.csv", "--out", tmp_path / "out", "--ray", cluster.address]
        result = CliRunner().invoke(main, ["sweep", *map(str, [*words, *flags])])
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return invoke


def test_the_runs_of_a_plan_are_spread(tmp_path, plan, sweep, taken):  # noqa: F811
    assert "all done; table" in sweep(plan())
    done = short(taken())
    assert sorted(done) == sorted(
        [f"{what} {run}" for what in ("train", "release") for run in ("net-1", "other-2", "net-3", "student-9")]
        + ["ensemble"]
    )
    assert done.index("ensemble") == 6
    assert "training" in (tmp_path / "out" / "net-1" / "log.txt").read_text()
    sweep(plan())
    assert short(taken()) == done  # nothing is done twice


def test_a_run_that_fails_stops_no_other(plan, sweep, taken):  # noqa: F811
    told = sweep(plan(learning_rate=9), code=1)
    assert "failed: other-2" in told
    assert "error: the loss became nan" in told
    assert "release net-3" in short(taken())


def test_more_than_any_node_has_is_refused(plan, sweep):  # noqa: F811
    told = sweep(plan(), "--cpus-per-run", 64, code=1)
    assert "no node of the cluster has 64 CPUs, which a run asks for. Fix: --cpus-per-run or --gpus-per-run" in told


def node_of(cluster, name: str):
    """Return the node on which a run is trained."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(FAKE) in words and any(word.endswith(name) for word in words):
            above = {one.pid for one in process.parents()}
            return next(node for node in cluster.worker_nodes if node.all_processes["raylet"][0].process.pid in above)
    raise AssertionError(f"{name} runs nowhere")


def test_a_run_whose_node_is_lost_is_resumed_elsewhere(plan, sweep, taken, cluster, calls):  # noqa: F811
    waiting = calls.with_name("calls.waiting")
    waiting.unlink(missing_ok=True)

    def lose() -> None:
        while not waiting.exists():
            time.sleep(0.05)
        cluster.remove_node(node_of(cluster, "other-2"), allow_graceful=False)

    thread = threading.Thread(target=lose)
    thread.start()
    try:
        assert "all done; table" in sweep(plan(seeds=(2, 3), learning_rate=8))
    finally:
        waiting.touch()
        thread.join()
    done = short(taken())
    assert done.count("train other-2") == 1
    assert done.count("train other-2 --resume") == 1
