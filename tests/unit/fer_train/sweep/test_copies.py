"""Tests for the copies of a sweep at an address: another machine goes on from them."""

import shutil

import fsspec
import pytest
from click.testing import CliRunner

from fer_train.cli import main
from fer_train.errors import CheckpointError, ConfigError, MissingDependencyError
from fer_train.sweep import copies as module
from fer_train.sweep.copies import Copies, CopyingReporter
from fer_train.sweep.jobs import Job
from fer_train.sweep.progress import SweepProgress


@pytest.fixture
def address(tmp_path):
    return f"memory://sweep-{tmp_path.name}"


def test_another_machine_goes_on_where_the_first_one_was(plan, run, calls, tmp_path, address):
    whole = run(plan(seeds=(1, 3)), "--copy-to", address)
    assert len(calls()) == 7  # three runs, two commands each, and the ensemble
    shutil.rmtree(tmp_path / "out")
    again = run(plan(seeds=(1, 3)), "--copy-to", address)
    assert calls() == []
    assert f"from {address}: net-1, net-3, student-9" in again["told"]
    assert [key for key in whole if key != "told" and again[key] != whole[key]] == []


def test_a_run_that_has_begun_is_resumed_elsewhere(plan, run, calls, tmp_path, address):
    run(plan(seeds=(2, 3), learning_rate=8), "--copy-to", address, "--minutes", 50)
    calls()
    shutil.rmtree(tmp_path / "out")
    run(plan(seeds=(2, 3), learning_rate=8), "--copy-to", address)
    assert [words[0] for words in calls() if words[0] == "train" and "other-2" in words[2] and "--resume" in words]


def test_a_further_local_run_stays(tmp_path, address):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, text in ((one, "epoch 1"), (other, "epoch 9")):
        (folder / "net-1").mkdir(parents=True)
        (folder / "net-1" / "last.pt").write_text(text)
    Copies(address, one).send()
    assert Copies(address, other).fetch() == []
    assert (other / "net-1" / "last.pt").read_text() == "epoch 9"
    Copies(address, other).send()
    third = tmp_path / "third"
    assert Copies(address, third).fetch() == ["net-1"]
    assert (third / "net-1" / "last.pt").read_text() == "epoch 9"
    (other / "net-1" / "release.md").write_text("card")
    (other / "net-1" / "run.lock").touch()
    Copies(address, other).send()
    assert Copies(address, third).fetch() == ["net-1"]
    assert sorted(path.name for path in (third / "net-1").iterdir()) == ["last.pt", "release.md"]
    assert not any(".part" in name for name in fsspec.filesystem("memory").find(address.removeprefix("memory://")))


def test_what_has_not_changed_is_not_sent_again(tmp_path, address, monkeypatch):
    sent = []
    monkeypatch.setattr(Copies, "_put", lambda self, path, target: sent.append(path.name))
    (tmp_path / "out" / "net-1").mkdir(parents=True)
    for name in ("release.md", "log.txt", "last.pt", "history.json"):
        (tmp_path / "out" / "net-1" / name).write_text("a")
    copies = Copies(address, tmp_path / "out")
    copies.send()
    assert sent == ["log.txt", "last.pt", "history.json", "release.md"]
    (tmp_path / "out" / "net-1" / "last.pt").write_text("longer")
    copies.send()
    assert sent[4:] == ["last.pt"]


def test_an_address_that_fails_stops_no_run_but_ends_with_an_error(tmp_path, address, monkeypatch, plan, calls):
    def fail(self, path, target):
        raise RuntimeError("no\nroute")

    monkeypatch.setattr(Copies, "_put", fail)
    copies, said = Copies(address, tmp_path), []
    (tmp_path / "file").touch()
    reporter = CopyingReporter(SweepProgress([], jobs=1, deadline=0), copies, said.append)
    monkeypatch.setattr(module, "SEND_EVERY_S", 0)
    reporter.on_poll([])
    reporter.on_end(Job("the ensemble", (), tmp_path / "log"), 0)
    assert [f"not copied: cannot write {address}: no route. What is in" in one for one in said] == [True, True]
    with pytest.raises(CheckpointError, match=r"no route\. .*Fix: check the address, the credentials and the network"):
        copies.send()
    words = ["sweep", "--plan", plan(seeds=(1, 3)), "--data", "d.csv", "--out", tmp_path / "out", "--copy-to", address]
    done = CliRunner().invoke(main, list(map(str, words)))
    assert (done.exit_code, len(calls())) == (4, 7)
    assert f"error: cannot write {address}: no route" in done.stderr


def test_an_address_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot open nowhere://a: .*Fix: an address such as s3://bucket/sweep"):
        Copies("nowhere://a", tmp_path)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.get_filesystem_class", missing)
    with pytest.raises(MissingDependencyError, match=r"Fix: pip install gcsfs$"):
        Copies("gs://bucket/sweep", tmp_path)
