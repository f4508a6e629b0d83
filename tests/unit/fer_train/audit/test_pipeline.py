import sys

import numpy as np
import pytest
from unit.fer_train.audit.made_faces import blob_faces, right_probs, with_votes

from fer_train.audit import AuditConfig, run_audit
from fer_train.audit.findings import KINDS
from fer_train.audit.pipeline import NO_PREDICTIONS, NO_ROWS, NO_VOTES
from fer_train.audit.predictions import Predictions
from fer_train.errors import MissingDependencyError, SplitAbsentError


@pytest.fixture
def faces():
    """Training 2 = PublicTest 24, 3 like PublicTest 25, 5 = 9 = 12, 6 = 7 with other labels, 10 and 26 blank."""
    made = blob_faces()
    made.images[24] = made.images[2]
    made.images[25] = made.images[3] // 2
    made.images[9] = made.images[12] = made.images[5]
    made.images[7] = made.images[6]
    made.images[10] = made.images[26] = 4
    made.images[26, 0, 0] = 5
    made.labels[24] = made.labels[2]
    made.labels[9] = made.labels[5]
    return made


def reasons(audit):
    return {index: [finding.kind for finding in found] for index, found in audit.excluded().items()}


def predictions_against(faces, index):
    chosen = np.flatnonzero(faces.splits == "Training")
    probs = right_probs(faces.labels[chosen])
    probs[index] = 0.0
    probs[index, (faces.labels[index] + 1) % 7] = 1.0
    return Predictions(chosen, probs)


def test_rows_worth_leaving_out_are_of_training_with_all_their_reasons(faces):
    audit = run_audit(faces, AuditConfig(), predictions=predictions_against(faces, 12))
    assert reasons(audit) == {
        2: ["leaked"],
        3: ["near_leaked"],
        6: ["contradictory"],
        7: ["contradictory"],
        9: ["redundant"],
        10: ["non_face"],
        12: ["redundant", "label_error"],
    }
    assert audit.num_predictions == 24


def test_only_the_reasons_asked_for_count(faces):
    audit = run_audit(faces, AuditConfig(exclude_reasons=("leaked", "non_face")))
    assert reasons(audit) == {2: ["leaked"], 10: ["non_face"]}
    assert len(audit.of_kind("redundant")) == 2


def test_another_split_can_be_the_one_that_is_cleaned(faces):
    audit = run_audit(faces, AuditConfig(train_split="PublicTest"))
    assert reasons(audit) == {24: ["leaked"], 25: ["near_leaked"], 26: ["non_face"]}


def test_findings_come_in_the_order_of_the_kinds(faces):
    audit = run_audit(faces, AuditConfig(), predictions=predictions_against(faces, 0))
    order = [list(KINDS).index(finding.kind) for finding in audit.findings]
    assert order == sorted(order)
    assert len(set(order)) == len(KINDS) - 1  # all but low contrast


def test_notes_say_what_was_not_done_and_what_mends_it(faces):
    assert run_audit(faces, AuditConfig()).notes == [NO_VOTES, NO_PREDICTIONS]
    assert "--ferplus fer2013new.csv" in NO_VOTES
    assert "fer-train crossval" in NO_PREDICTIONS
    assert run_audit(with_votes(faces), AuditConfig(), predictions=predictions_against(faces, 0)).notes == []
    faces.rows[:] = -1
    assert NO_ROWS in run_audit(faces, AuditConfig()).notes


def test_absent_split_says_which_there_are(faces):
    with pytest.raises(SplitAbsentError) as caught:
        run_audit(faces, AuditConfig(train_split="train"))
    assert str(caught.value) == (
        "nothing to clean: no split 'train'. The data have Training (24), PublicTest (8). Fix: --train-split NAME"
    )


def test_without_cleanlab_only_predictions_are_refused(faces, monkeypatch):
    monkeypatch.delitem(sys.modules, "fer_train.audit.labels", raising=False)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    assert run_audit(faces, AuditConfig()).num_predictions == 0
    with pytest.raises(
        MissingDependencyError, match=r"--predictions needs cleanlab.* pip install 'fer-toolchain\[audit\]'"
    ):
        run_audit(faces, AuditConfig(), predictions=predictions_against(faces, 0))
