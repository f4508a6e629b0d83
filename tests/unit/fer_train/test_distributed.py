import json
import subprocess
import threading
from pathlib import Path

import pytest
import torch
import yaml
from torch.distributed import HashStore
from unit.fer_train.parallel_cases import CASES
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config, write_csv

from fer_train.checkpoint import load_state
from fer_train.distributed import (
    ALONE,
    World,
    is_first_process,
    job_name,
    local_device,
    torchrun_world,
    was_restarted,
)
from fer_train.distributed.joining import interface_towards, met, warn_of_shared_store
from fer_train.errors import ConfigError
from fer_train.training.run import build_run

CPU = torch.device("cpu")
ROUNDING = 1e-4
"""Batch norm sums in another order; what that rounds differently (1e-7) grows over the steps. Without gradients
averaged, batch norm global or shares drawn alike, weights differ by 7e-3 and more."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory, training_server):
    """Where the runs are, and how each group of processes ended; see forked_runs.py."""
    folder = tmp_path_factory.mktemp("forked")
    data = write_csv(folder / "fer2013.csv", make_faces())
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(tiny_config(num_epochs=1, image_size=16).model_dump(mode="json")))
    words = [Path(__file__).with_name("forked_runs.py"), folder, data, config]
    done = subprocess.run(
        [*training_server.command("python"), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def furthest(one, other):
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_weights_of_one(ended, case):
    folder, groups = ended
    assert groups["cases"]["codes"] == [0, 0], groups["cases"]["printed"]
    alone, shared = (load_state(folder / kind / case / "last.pt") for kind in ("alone", "shared"))
    assert furthest(alone["model"], shared["model"]) < ROUNDING
    assert (alone["ema"] is None) == (CASES[case].get("ema_decay") == 0.0)
    if alone["ema"] is not None:
        assert furthest(alone["ema"], shared["ema"]) < ROUNDING
    for row, same in zip(alone["history"], shared["history"], strict=True):
        assert row["train_loss"] == pytest.approx(same["train_loss"], abs=ROUNDING)
        assert row["train_accuracy"] == same["train_accuracy"]


@pytest.mark.slow
def test_with_dropout_the_same_number_of_processes_gives_the_same_weights_again_and_after_a_resume(ended):
    folder, groups = ended
    assert groups["dropout"]["codes"] == [0, 0], groups["dropout"]["printed"]
    once, again, resumed = (
        load_state(folder / "dropout" / name / "last.pt")["model"] for name in ("once", "again", "resumed")
    )
    assert all(torch.equal(value, again[name]) for name, value in once.items())
    assert all(torch.equal(value, resumed[name]) for name, value in once.items())


@pytest.mark.slow
def test_no_two_processes_drop_the_same_features(ended):
    first, second = (torch.load(ended[0] / f"masks.{rank}") for rank in range(2))
    steps = len(first) // 3  # of one run
    assert steps == 2 * (64 // 16)
    for mine, other in zip(first, second, strict=True):
        assert mine.shape == other.shape == (8, NARROW_CHANNELS[-1])
        assert not torch.equal(mine, other)
    assert not torch.equal(first[0], first[1])
    for masks in (first, second):
        assert all(torch.equal(one, same) for one, same in zip(masks[:steps], masks[steps : 2 * steps], strict=True))


def test_seed_of_the_first_process_is_that_of_a_single_one():
    seeds = [World(rank, 64).own_seed(5_000_020) for rank in range(64)]
    assert seeds[0] == ALONE.own_seed(5_000_020) == 5_000_020
    assert len({seed % 2**32 for seed in seeds}) == 64


@pytest.mark.slow
def test_only_the_first_process_prints_and_writes(ended):
    """The second one fails where it writes a file; see forked_runs.py."""
    folder, groups = ended
    assert groups["seeds"]["codes"] == [0, 0], groups["seeds"]["printed"]
    first, second = groups["seeds"]["printed"]
    assert "± sd │" in first
    assert "official protocol leaves out 0 rows" in first
    assert second == ""
    assert groups["cases"]["printed"][1] == ""
    assert sorted(p.name for p in (folder / "seeds").iterdir()) == ["seed-0", "seed-1", "seeds.json"]


@pytest.mark.slow
def test_memory_that_ends_in_one_process_stops_the_other_too(ended):
    folder, groups = ended
    first, second = groups["failing"]["codes"]
    assert second == 1
    assert first == 1  # None where it had to be killed: it waited for the other
    assert "OutOfMemoryError: out of memory with batch_size 16" in groups["failing"]["printed"][1]
    assert load_state(folder / "failing" / "last.pt")["epoch"] == 1


@pytest.mark.slow
def test_refused_settings_end_every_process_with_their_exit_code(ended):
    assert ended[1]["refused"]["codes"] == [2, 2]
    assert "device: unknown device 'gpu'" in ended[1]["refused"]["printed"][0]


@pytest.mark.slow
def test_nodes_that_were_started_with_different_commands(ended):
    """Unless this is checked they train, each to its own end, and wait for each other."""
    group = ended[1]["different commands"]
    assert group["codes"] == [2, 2], group["printed"]
    for printed in group["printed"]:
        told = " ".join(printed.split())
        assert "error: num_epochs differ between the processes: process 0 on " in told
        assert " has num_epochs 1, process 1 on " in told
        assert " has 2. Fix: the same command with the same files on every node" in told


@pytest.mark.slow
def test_a_newer_state_on_another_node(ended):
    """Else a run whose first process is on another node than before would begin from scratch, and nobody noticed."""
    folder, groups = ended
    group = groups["newer state elsewhere"]
    assert group["codes"] == [4, 4], group["printed"]
    for printed in group["printed"]:
        told = " ".join(printed.split())
        assert "has 0 finished epochs in " in told
        assert (
            "has 3: the nodes do not share that folder. Fix: --out in a folder that all nodes share; or copy " in told
        )
    assert not (folder / "fresh").exists()


class TestMeeting:
    """Two processes in one store, which holds what dead ones wrote."""

    def meet(self, store, *, rank=1):
        found = {}
        others = [threading.Thread(target=lambda r=r: found.update({r: met(store, r, 2)})) for r in (0, rank)]
        for each in others:
            each.start()
        for each in others:
            each.join(20)
        return found

    def test_a_dead_process_is_not_waited_for(self):
        store = HashStore()
        store.set("fer_train/here/1", "of a dead process")
        found = self.meet(store)
        found[0].set("address", "a")
        assert found[1].get("address") == b"a"

    def test_each_round_has_its_own_part_of_the_store(self):
        store = HashStore()
        first, second = self.meet(store), self.meet(store)
        first[0].set("address", "of a dead process")
        assert not second[1].check(["address"])

    @pytest.mark.parametrize(("rank", "missing"), [(0, "process 1"), (1, "process 0")])
    def test_a_process_that_does_not_come(self, rank, missing, monkeypatch):
        monkeypatch.setenv("WORLD_SIZE", "2")
        with pytest.raises(ConfigError, match=rf"{missing} of 2 was not met within 0.2 s at .*Fix: --local-addr with"):
            met(HashStore(), rank, 2, limit_s=0.2)


@pytest.mark.parametrize(
    ("changes", "is_said"),
    [
        ({}, True),
        ({"TORCHELASTIC_USE_AGENT_STORE": "False"}, False),
        ({"GROUP_WORLD_SIZE": "1"}, False),
        ({"RANK": "1"}, False),
        ({"TORCHELASTIC_RUN_ID": "none"}, False),
    ],
)
def test_nodes_that_could_not_come_back_are_warned_of(monkeypatch, caplog, changes, is_said):
    environment = {
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "GROUP_WORLD_SIZE": "2",
        "RANK": "0",
        "TORCHELASTIC_RUN_ID": "a-job",
    }
    for name, value in (environment | changes).items():
        monkeypatch.setenv(name, value)
    warn_of_shared_store()
    assert ("Fix: TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" in caplog.text) == is_said


def test_interface_towards_a_host():
    assert interface_towards("127.0.0.1") == "lo"
    assert interface_towards("no.such.host.invalid") is None


@pytest.mark.parametrize(("told", "name"), [(None, None), ("none", None), ("a-job", "a-job")])
def test_name_of_the_job(monkeypatch, told, name):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if told is not None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", told)
    assert job_name() == name


def test_shares_cover_the_batch_once():
    rows = torch.arange(12)
    assert torch.equal(torch.cat([rows[World(rank, 3).share(12)] for rank in range(3)]), rows)
    assert torch.equal(rows[ALONE.share(12)], rows)


def test_batch_that_cannot_be_shared_out_evenly():
    with pytest.raises(ConfigError, match="batch_size 16 cannot be split evenly among 3 processes"):
        World(1, 3).share(16)


def test_alone_nothing_is_asked_of_others():
    model, value = torch.nn.BatchNorm2d(2), torch.ones(2)
    assert ALONE.sum(value) is value
    assert ALONE.from_first(model) is model
    assert ALONE.parallel(model, CPU) is model
    assert type(model) is torch.nn.BatchNorm2d


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with torchrun_world(CPU) as world:
        assert world == ALONE


@pytest.mark.parametrize(
    ("name", "cuda", "expected"),
    [
        ("auto", True, "cuda:3"),
        ("cuda", True, "cuda:3"),
        ("cuda:1", True, "cuda:1"),
        ("cpu", True, "cpu"),
        ("auto", False, "auto"),
    ],
)
def test_device_of_a_process_is_that_of_its_rank(monkeypatch, name, cuda, expected):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert local_device(name) == expected


def test_device_stays_as_it_is_without_torchrun(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert local_device("auto") == "auto"


@pytest.mark.parametrize(("count", "restarted"), [(None, False), ("0", False), ("1", True)])
def test_restart_is_known_from_torchrun(monkeypatch, count, restarted):
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT", raising=False)
    if count is not None:
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
    assert was_restarted() == restarted


@pytest.mark.parametrize(("rank", "is_first"), [(None, True), ("0", True), ("1", False)])
def test_first_process_is_known_before_they_meet(monkeypatch, rank, is_first):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert is_first_process() == is_first


@pytest.mark.usefixtures("narrow_net")
def test_quantization_ranges_are_learned_in_one_process():
    with pytest.raises(ConfigError, match="quantization_aware needs a single process, torchrun started 2"):
        build_run(tiny_config(quantization_aware=True), steps_per_epoch=4, world=World(0, 2))
