"""Rows of runs that were not released, or were stopped."""

import json

import pytest
from unit.fer_train.sweep.runs_cases import (
    HARDWARE,
    TEACHERS,
    call,
    epoch_of,
    provenance_of,
    rows_in,
    write_release,
    write_weights,
)

from fer_train.checkpoint import save_state


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    return folder


def test_figures_without_a_release_are_those_of_the_last_epoch_and_marked(run, results):
    (run / "history.json").write_text(json.dumps([epoch_of(0.6), epoch_of(0.55, seconds=180.0)]))
    write_weights(run / "best.safetensors", num_epochs=2, kept="best")
    write_weights(run / "final.safetensors", num_epochs=2, kept="final", hardware=HARDWARE, teachers=TEACHERS)
    call("--run", run)
    text = results.read_text()
    assert f"| random | net 18c426cc | 0.25 | 3 | 2 | 2 | 4 | 4 | {HARDWARE} | 55.00%‡ |  | 0.4500‡ |\n" in text
    assert "\n‡: not released; as validated in training, after the last finished epoch.\n" in text


def test_run_that_was_stopped_tells_its_epochs_from_its_state(run, results):
    save_state(run / "last.pt", {"history": [epoch_of(0.6), epoch_of(0.5), epoch_of(0.55)]})
    init = provenance_of(num_epochs=72, kept="final")
    write_weights(run / "best.safetensors", num_epochs=7, kept="best", init=init)
    call("--run", run)
    text = results.read_text()
    assert "| 3 of 7 | 75 (72 + 3) | 3 |  |  | 55.00%‡ |  | 0.4500‡ |\n" in text


def test_stopped_run_that_has_ended_replaces_its_row(run, results):
    save_state(run / "last.pt", {"history": [epoch_of(0.5)]})
    write_weights(run / "best.safetensors", num_epochs=2, kept="best")
    call("--run", run)
    (run / "history.json").write_text(json.dumps([epoch_of(0.5), epoch_of(0.6)]))
    write_weights(run / "final.safetensors", num_epochs=2, kept="final")
    call("--run", run, "--add")
    assert [(row["epochs"], row["plain"], row["minutes"]) for row in rows_in(results)] == [(2, 0.6, 2.0)]


def test_validation_against_votes_is_told(run, results):
    (run / "history.json").write_text(json.dumps([epoch_of()]))
    write_weights(run / "final.safetensors", label_set="ferplus", ferplus_sha256="ab")
    call("--run", run)
    assert "| net |  | net | FER+ majority |" in results.read_text()


def test_validation_without_votes_is_refused_unless_it_was_released(run, results):
    (run / "history.json").write_text(json.dumps([epoch_of(0.9)]))
    write_weights(run / "final.safetensors", label_set="ferplus")
    done = call("--run", run, code=2)
    assert "has no release.safetensors and was validated without FER+'s votes; this is a table of" in done.stderr
    assert done.stderr.endswith("with its --data and --ferplus\n")
    write_release(run / "release.safetensors", label_set="ferplus")
    call("--run", run)
    assert rows_in(results)[0]["validated"] is None


def test_validation_on_other_faces_is_refused(run, results):
    (run / "history.json").write_text(json.dumps([epoch_of()]))
    config = provenance_of()["config"] | {"validation_split": "mine"}
    write_weights(run / "final.safetensors", config=config)
    done = call("--run", run, code=2)
    assert done.stderr == (
        f"error: {run} has no release.safetensors and was validated on mine; this is a table of PublicTest. Fix: "
        f"fer-train release --checkpoint {run}/final.safetensors --split PublicTest --out {run}/release.safetensors, "
        "with its --data\n"
    )
    assert not results.exists()


def test_folder_without_a_finished_epoch_is_refused(run, results):
    done = call("--run", run, code=2)
    assert done.stderr == (
        f"error: {run} has no history.json and no last.pt, which fer-train train writes. "
        "Fix: the folder of a run with a finished epoch, or --release for released weights alone\n"
    )


@pytest.mark.parametrize("content", ["{", "[]", "{}", "[3]", '[{"seconds": 3.0}]'])
def test_damaged_history_is_refused(run, results, content):
    (run / "history.json").write_text(content)
    done = call("--run", run, code=4)
    assert done.stderr.startswith(f"error: cannot use {run}/history.json: ")
    assert done.stderr.endswith(". Fix: the file of fer-train train\n")


def test_damaged_state_is_refused(run, results):
    (run / "last.pt").write_bytes(b"PK")
    assert "last.pt: truncated or not a training state" in call("--run", run, code=4).stderr
