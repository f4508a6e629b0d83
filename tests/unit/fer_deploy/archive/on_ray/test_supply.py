"""Nodes that are left out, and nodes that rest. Needs the package Ray, and no cluster."""

import pytest

from fer_deploy.archive.progress import RunProgress

pytest.importorskip("ray")

from fer_deploy.archive.on_ray import supply as on_ray
from fer_deploy.archive.on_ray.demand import Demand
from fer_deploy.errors import EngineError

WHY = "on a: cannot read manifest.parquet. Fix: check the network"


class Notes(RunProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def supply(notes, monkeypatch):
    resources = {"CPU": 4.0, "memory": 2e9}
    nodes = [{"NodeID": name, "Alive": True, "Resources": resources} for name in "ab"]
    monkeypatch.setattr(on_ray.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(on_ray.ray, "available_resources", lambda: resources)
    return on_ray.Supply(Demand(), notes)


def without(supply) -> str:
    return supply.options().get("label_selector", {}).get("ray.io/node-id", "")


def test_a_node_rests_and_is_used_again(supply, notes):
    supply.rest("a", WHY, 100.0)
    supply.rest("a", WHY, 100.1)  # of its other worker
    assert notes.notes == [f"a node is not used for 10 s: {WHY}"]
    assert without(supply) == "!in(a)"
    assert not supply.has_rested(109.9)
    assert supply.has_rested(110.0)
    assert without(supply) == ""
    assert not supply.has_rested(110.0)


def test_rests_grow_until_a_segment_is_finished(supply, notes):
    now_s = 0.0
    for rest_s in (10, 20):
        supply.rest("a", WHY, now_s)
        now_s += rest_s
        assert supply.has_rested(now_s)
    supply.forgive("a")
    supply.rest("a", WHY, now_s)
    assert [note.split(" for ")[1].split(" s: ")[0] for note in notes.notes] == ["10", "20", "10"]


def test_a_node_that_no_rest_helps_is_left_out_and_without_any_the_run_ends(supply, notes):
    supply.leave_out("b", "on b: another model")
    now_s = 0.0
    for _ in range(5):
        supply.rest("a", WHY, now_s)
        supply.check(0, now_s)  # it may be used again
        now_s += 160.0
        assert supply.has_rested(now_s)
        supply.check(1, now_s)  # a worker is opening
    supply.rest("a", WHY, now_s)
    assert notes.notes[-1] == f"a node is left out: {WHY}"
    with pytest.raises(EngineError, match=f"no node can be used. The last one, {WHY}"):
        supply.check(0, now_s)


def test_while_all_nodes_rest_the_user_hears_it(supply, notes):
    supply.rest("a", WHY, 0.0)
    supply.check(0, 0.0)
    supply.check(0, 16.0)
    assert "waiting for a worker: 1 of the nodes are not used for a while. Fix: see the reasons above" in notes.notes


def test_full_nodes_may_be_full_of_workers_of_this_run_that_start(supply, notes, monkeypatch):
    monkeypatch.setattr(on_ray.ray, "available_resources", lambda: {"CPU": 0.0, "memory": 0.0})
    for now_s in (0.0, 16.0):
        supply.check(0, now_s)
    (note,) = notes.notes
    assert "no node has 1 CPU and 1,000 MB free: other work is there, or Ray is still starting workers" in note
    assert "Fix: wait, end other work on the cluster, or add nodes" in note
