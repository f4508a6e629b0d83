import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from unit.fer_train.audit.made_faces import blob_faces, right_probs
from unit.fer_train.synthetic_faces import write_csv

from fer_train.audit import AuditConfig, run_audit
from fer_train.audit.prediction_quality import measure_predictions
from fer_train.audit.predictions import Predictions
from fer_train.audit.report import findings_table, render_markdown, summarize
from fer_train.cli import main

NUM = 140


@pytest.fixture
def faces():
    """140 training faces, 20 of each class; Training 139 is PublicTest 140."""
    made = blob_faces(num_training=NUM, num_public=7)
    made.images[140], made.labels[140] = made.images[139], made.labels[139]
    return made


def predict(faces, num_wrong, confidence=0.9):
    """Return predictions for Training of which the first `num_wrong` say the next class."""
    answers = faces.labels[:NUM].copy()
    answers[:num_wrong] = (answers[:num_wrong] + 1) % 7
    return Predictions(np.arange(NUM), right_probs(answers, confidence))


def test_shares_are_of_the_faces_with_a_prediction(faces):
    chosen = np.flatnonzero((faces.labels != 3) | (np.arange(147) < 70))[:100]
    answers = faces.labels[chosen].copy()
    answers[:20] = (answers[:20] + 1) % 7
    judged = measure_predictions(faces, Predictions(chosen, right_probs(answers)), 15, AuditConfig())
    assert judged.accuracy == pytest.approx(0.8)
    assert judged.majority == pytest.approx(np.bincount(faces.labels[chosen]).max() / 100)
    assert judged.flagged == pytest.approx(0.15)
    assert judged.fault == ""


def test_weak_predictions_are_reported_but_leave_no_row_out(faces, tmp_path):
    audit = run_audit(faces, AuditConfig(max_flagged=1.0), predictions=predict(faces, 84))
    assert len(audit.of_kind("label_error")) > 40
    assert {kind for found in audit.excluded().values() for kind in {f.kind for f in found}} == {"leaked"}
    text = render_markdown(audit, tmp_path)
    assert "Predictions for 140 faces: 40.0% right out of fold (the most frequent label alone: 14.3%), " in text
    assert (
        "Warning: likely label errors are in findings.csv but not in exclude.csv, because the predictions "
        "are right for 40.0% of the faces (--min-accuracy 0.5): more likely the model is wrong than the labels. "
        "Fix: train longer: fer-train crossval --config ... --data ... --epochs N, with a new --out" in text
    )
    assert "for these reasons: contradictory, leaked, near_leaked, redundant, non_face." in text
    assert list(findings_table(audit).columns[-1].cells)[-2:] == ["held back", "1"]
    summary = summarize(audit)
    assert summary["predictions"]["accuracy"] == pytest.approx(0.4)
    assert summary["predictions"]["fault"].startswith("likely label errors are in findings.csv")
    assert summary["excluded"]["by_reason"]["label_error"] == 0


@pytest.mark.parametrize("config", [AuditConfig(), AuditConfig(min_accuracy=0.4, max_flagged=0.6)])
def test_predictions_good_enough_leave_rows_out(faces, config, tmp_path):
    audit = run_audit(faces, config, predictions=predict(faces, 7 if config == AuditConfig() else 84))
    assert audit.prediction_quality.fault == ""
    assert len(audit.of_kind("label_error")) == sum(
        finding.kind == "label_error" for found in audit.excluded().values() for finding in found
    )
    assert audit.of_kind("label_error")
    assert "Warning" not in render_markdown(audit, tmp_path)


def test_implausibly_many_label_errors_are_held_back_although_accuracy_suffices(faces):
    audit = run_audit(faces, AuditConfig(), predictions=predict(faces, 63))
    assert audit.prediction_quality.accuracy == pytest.approx(0.55)
    assert audit.prediction_quality.flagged > 0.35
    assert f"the predictions doubt {audit.prediction_quality.flagged:.1%} of the labels (--max-flagged 0.35)" in (
        audit.prediction_quality.fault
    )
    assert audit.is_held_back("label_error")
    assert not audit.is_held_back("leaked")


def test_predictions_worse_than_the_most_frequent_label_are_weak_whatever_the_minimum(faces):
    faces.labels[: NUM - 20] = 3
    config = AuditConfig(min_accuracy=0.0, max_flagged=1.0)
    judged = measure_predictions(faces, predict(faces, 84), 0, config)
    majority = np.bincount(faces.labels[:NUM]).max() / NUM
    assert f"right less often (40.0%) than the most frequent label alone ({majority:.1%})" in judged.fault


def test_label_errors_that_nobody_wants_left_out_raise_no_warning(faces, tmp_path):
    audit = run_audit(faces, AuditConfig(exclude_reasons=("leaked",)), predictions=predict(faces, 84))
    assert "Warning" not in render_markdown(audit, tmp_path)
    assert list(findings_table(audit).columns[-1].cells)[-2] == "-"


def test_the_command_warns_and_the_flags_overrule(faces, tmp_path):
    data, predictions, out = write_csv(tmp_path / "fer2013.csv", faces), predict(faces, 84), tmp_path / "audit"
    np.savez(tmp_path / "oof.npz", rows=np.arange(NUM), labels=faces.labels[:NUM], probs=predictions.probs)
    command = ["audit", "--data", str(data), "--predictions", str(tmp_path / "oof.npz"), "--out", str(out)]

    def audited(*flags):
        result = CliRunner().invoke(main, [*command, *flags])
        assert result.exit_code == 0, result.output
        with (out / "exclude.csv").open(newline="") as file:
            reasons = [row["reason"] for row in csv.DictReader(file)]
        return result.stdout, reasons

    text, reasons = audited()
    assert "predictions for 140 faces: 40.0% right out of fold" in text
    assert "warning: likely label errors are in findings.csv but not in exclude.csv" in text
    assert reasons == ["leaked"]
    assert (out / "findings.csv").read_text().count("label_error,,no,") > 40
    text, reasons = audited("--min-accuracy", "0.3", "--max-flagged", "1")
    assert "warning" not in text
    assert sum("label_error" in reason for reason in reasons) > 40
    assert json.loads((out / "audit.json").read_text())["config"]["min_accuracy"] == 0.3
