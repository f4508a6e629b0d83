import csv
import json
import subprocess

import numpy as np
import pytest
from unit.fer_train.audit.made_faces import blob_faces, right_probs

from fer_train.audit import AuditConfig, run_audit
from fer_train.audit.findings import KINDS
from fer_train.audit.output import claim_folder, write_report
from fer_train.audit.predictions import Predictions
from fer_train.audit.report import findings_table, render_markdown, summarize
from fer_train.data.splits import read_row_numbers
from fer_train.errors import CheckpointError, ConfigError


@pytest.fixture
def faces():
    """Rows are positions plus 100. Training 2 = PublicTest 24; 5 = 9; 10 blank; 12 has its label doubted."""
    made = blob_faces()
    made.rows[:] += 100
    made.images[24] = made.images[2]
    made.images[9] = made.images[5]
    made.images[10] = 4
    made.labels[[24, 9]] = made.labels[[2, 5]]
    return made


def audit_of(faces, **changes):
    probs = right_probs(faces.labels[:24])
    probs[9] = probs[12] = 0.0
    probs[9, 0] = probs[12, 0] = 1.0
    return run_audit(faces, AuditConfig(**changes), predictions=Predictions(np.arange(24), probs))


def write(audit, out):
    claim_folder(out)
    write_report(audit, out, {"data": "faces.csv"})
    return out


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_exclude_csv_has_each_row_once_with_joined_reasons_and_train_reads_it(tmp_path, faces):
    out = write(audit_of(faces), tmp_path / "out")
    assert read(out / "exclude.csv") == [
        {
            "row": "102",
            "split": "Training",
            "label": "fear",
            "reason": "leaked",
            "detail": "same pixels: Training 102, PublicTest 124",
        },
        {
            "row": "109",
            "split": "Training",
            "label": "surprise",
            "reason": "redundant+label_error",
            "detail": "same pixels and label as Training 105; surprise (0.00), predicted angry (1.00)",
        },
        {
            "row": "110",
            "split": "Training",
            "label": "sad" if faces.labels[10] == 4 else "happy",
            "reason": "non_face",
            "detail": "blank: spans 0 gray levels",
        },
        {
            "row": "112",
            "split": "Training",
            "label": "surprise",
            "reason": "label_error",
            "detail": "surprise (0.00), predicted angry (1.00)",
        },
    ]
    assert read_row_numbers(out / "exclude.csv").tolist() == [102, 109, 110, 112]


def test_findings_csv_has_every_finding_of_every_split(tmp_path, faces):
    audit = audit_of(faces, exclude_reasons=("leaked",))
    found = read(write(audit, tmp_path / "out") / "findings.csv")
    assert len(found) == len(audit.findings)
    twins = [row for row in found if row["kind"] == "exact_duplicate"]
    assert [(row["index"], row["row"], row["split"]) for row in twins] == [
        ("2", "102", "Training"),
        ("24", "124", "PublicTest"),
        ("5", "105", "Training"),
        ("9", "109", "Training"),
    ]
    assert twins[0]["group"] == twins[1]["group"] != twins[2]["group"]
    assert [row["row"] for row in found if row["excluded"] == "yes"] == ["102"]


def test_no_reason_leaves_an_exclude_csv_without_rows(tmp_path, faces):
    out = write(audit_of(faces, exclude_reasons=()), tmp_path / "out")
    assert read_row_numbers(out / "exclude.csv").tolist() == []
    assert "for these reasons: none" in (out / "audit.md").read_text()


def test_json_has_counts_thresholds_and_provenance(tmp_path, faces):
    summary = json.loads((write(audit_of(faces, near_threshold=0.97), tmp_path / "out") / "audit.json").read_text())
    assert summary["data"]["source_sha256"] == "5" * 64
    assert summary["data"]["splits"] == {"Training": 24, "PublicTest": 8}
    assert summary["config"]["near_threshold"] == 0.97
    assert summary["faces"]["exact_duplicate"] == {"Training": 3, "PublicTest": 1}
    assert summary["groups"]["exact_duplicate"] == 2
    assert summary["excluded"]["total"] == 4
    assert summary["excluded"]["by_reason"]["label_error"] == 2
    assert summary["origin"] == {"data": "faces.csv"}


def test_report_explains_every_kind_and_shows_the_sheets_there_are(tmp_path, faces, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = write(audit_of(faces), tmp_path / "out")
    text = (out / "audit.md").read_text()
    for kind in KINDS.values():
        assert kind.meaning in text
    sheets = {path.name for path in out.glob("*.png")}
    assert sheets == {f"contact_sheet_{kind}.png" for kind in ("exact_duplicate", "non_face", "label_error")}
    assert all(f"({name})" in text for name in sheets)
    assert text.count("![") == len(sheets)
    assert "| leaked | 1 | 0 | 1 |" in text
    assert "fer-train train --exclude out/exclude.csv " in text


def test_what_was_not_done_is_said_in_report_and_table(tmp_path, faces):
    audit = run_audit(faces, AuditConfig())
    text = render_markdown(audit, tmp_path)
    assert "## What was not done" in text
    assert all(note in text for note in audit.notes)
    assert "| likely label errors | not done | not done | 0 |" in text
    assert list(findings_table(audit).columns[1].cells)[-2:] == ["not done", "24"]
    assert summarize(audit)["data"]["num_predictions"] == 0


def test_without_row_numbers_positions_are_given_and_no_exclude_csv(tmp_path, faces):
    faces.rows[:] = -1
    out = write(run_audit(faces, AuditConfig()), tmp_path / "out")
    assert not (out / "exclude.csv").exists()
    note = "exclude.csv was not written: fer-train train excludes faces by row number, and these image files have none"
    assert note in (out / "audit.md").read_text()
    found = read(out / "findings.csv")
    assert {row["row"] for row in found} == {""}
    assert [row["index"] for row in found if row["kind"] == "leaked"] == ["2"]
    assert found[0]["detail"] == "same pixels: Training #2, PublicTest #24"


def test_git_ignores_the_whole_folder(tmp_path, faces):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    write(audit_of(faces), tmp_path / "out")
    seen = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain", "--untracked-files=all"], capture_output=True, check=True
    )
    assert seen.stdout == b""
    assert "*" in (tmp_path / "out" / ".gitignore").read_text().splitlines()


def test_second_audit_replaces_the_first_and_what_only_that_one_wrote(tmp_path, faces):
    out = write(audit_of(faces), tmp_path / "out")
    clean = blob_faces(seed=8)
    clean.rows[:] = -1
    write(run_audit(clean, AuditConfig()), out)
    assert sorted(path.name for path in out.iterdir()) == [".gitignore", "audit.json", "audit.md", "findings.csv"]


def test_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "exclude.csv").write_text("mine")
    with pytest.raises(ConfigError) as caught:
        claim_folder(tmp_path)
    assert f"cannot audit into {tmp_path}: it holds files and is not the folder of an earlier" in str(caught.value)
    assert "Fix: --out with a folder of its own" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["exclude.csv"]


def test_out_that_is_or_lies_beneath_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"it is a file. Fix: --out with a folder of its own"):
        claim_folder(tmp_path / "file")
    with pytest.raises(CheckpointError, match="cannot write"):
        claim_folder(tmp_path / "file" / "out")
