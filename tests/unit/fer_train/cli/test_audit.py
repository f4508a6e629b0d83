import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from unit.fer_train.audit.made_faces import blob_faces, right_probs
from unit.fer_train.synthetic_faces import write_csv, write_folder, write_votes

from fer_train.cli import main
from fer_train.data.splits import apply_protocol, read_row_numbers


def run(*args, code=0):
    result = CliRunner().invoke(main, ["audit", *(str(arg) for arg in args)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def faces():
    """Training 2 = PublicTest 24; 5 = 9 with one label."""
    made = blob_faces()
    made.images[24], made.images[9] = made.images[2], made.images[5]
    made.labels[9] = made.labels[5]
    return made


@pytest.fixture
def data(tmp_path, faces):
    return write_csv(tmp_path / "fer2013.csv", faces)


def test_audit_writes_the_folder_and_train_can_leave_the_rows_out(tmp_path, data, faces):
    out = tmp_path / "audit"
    result = run("--data", data, "--out", out)
    names = {path.name for path in out.iterdir()}
    assert {"audit.json", "audit.md", "exclude.csv", "findings.csv", ".gitignore"} < names
    assert f"2 rows to leave out: fer-train train --exclude {out / 'exclude.csv'}" in result.stdout.replace("\n", "")
    assert "note: Non-faces: the search covered blank images only" in result.stdout
    assert "note: Likely label errors: not done." in result.stdout
    rows = read_row_numbers(out / "exclude.csv")
    kept = apply_protocol(faces, "official", "Training", exclude_rows=rows)
    assert sorted(set(range(32)) - set(kept.rows.tolist())) == [2, 9]


def test_votes_predictions_and_reasons_reach_the_audit(tmp_path, data, faces):
    votes = [[10, 0, 0, 0, 0, 0, 0, 0, 0, 0] for _ in range(32)]
    votes[7] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 9]
    ferplus = write_votes(tmp_path / "fer2013new.csv", faces.splits.tolist(), votes)
    probs = right_probs(faces.labels[:24])
    probs[3] = np.eye(7)[6]
    np.savez(tmp_path / "oof.npz", rows=np.arange(24), labels=faces.labels[:24], probs=probs)
    out = tmp_path / "audit"
    result = run(
        "--data",
        data,
        "--ferplus",
        ferplus,
        "--predictions",
        tmp_path / "oof.npz",
        "--out",
        out,
        "--exclude-reasons",
        "non_face,label_error",
        "--near-threshold",
        0.995,
    )
    assert "note:" not in result.stdout
    with (out / "exclude.csv").open(newline="") as file:
        assert [(row["row"], row["reason"]) for row in csv.DictReader(file)] == [
            ("3", "label_error"),
            ("7", "non_face"),
        ]
    summary = json.loads((out / "audit.json").read_text())
    assert summary["config"]["near_threshold"] == 0.995
    assert summary["origin"] == {
        "data": data.name,
        "ferplus": ferplus.name,
        "predictions": "oof.npz",
    }


def test_image_folder_without_rows_is_audited_and_says_what_cannot_be_used(tmp_path, faces):
    folder = write_folder(tmp_path / "images", faces, named=False)
    result = run("--data", folder, "--out", tmp_path / "audit")
    assert "note: exclude.csv was not written" in result.stdout
    assert "rows to leave out" not in result.stdout
    assert not (tmp_path / "audit" / "exclude.csv").exists()
    assert ",leaked," in (tmp_path / "audit" / "findings.csv").read_text()


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--exclude-reasons", "leak"), 2, "error: --exclude-reasons: unknown reason 'leak'; did you mean 'leaked'?"),
        (("--near-threshold", "2"), 2, "error: --near-threshold: expected at most 1"),
        (("--train-split", "train"), 4, "error: nothing to clean: no split 'train'"),
        (("--predictions", "none.npz"), 4, "error: cannot read predictions none.npz"),
    ],
)
def test_bad_input_is_one_message_and_an_exit_code(tmp_path, data, flags, code, words):
    result = run("--data", data, "--out", tmp_path / "audit", *flags, code=code)
    assert words in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "audit" / "audit.json").exists()


def test_folder_of_the_data_is_not_taken_for_output(tmp_path, data):
    result = run("--data", data, "--out", tmp_path, code=2)
    assert "it holds files and is not the folder of an earlier audit" in result.stderr
    assert not (tmp_path / ".gitignore").exists()


def test_failed_audit_leaves_the_earlier_one_as_it_was(tmp_path, data):
    out = tmp_path / "audit"
    run("--data", data, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    run("--data", data, "--out", out, "--train-split", "train", code=4)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
