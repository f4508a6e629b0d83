"""A limit finer than one face is told before the work."""

import numpy as np
import pytest

from fer_deploy.errors import VerificationError
from fer_deploy.export import pipeline
from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify.limit_resolution import finer_than_a_face
from fer_deploy.export.verify.preparation import notes_on
from fer_deploy.export.verify.scores import Limits, broken_scores, change_of, scores_of

LABELS = ("angry", "happy")


def faces(num: int, *, num_angry: int | None = None) -> VerificationFaces:
    labels = None if num_angry is None else (np.arange(num) >= num_angry).astype(np.int64)
    return VerificationFaces(np.zeros((num, 1, 48, 48), dtype=np.uint8), labels, "x")


def test_agreement_of_few_faces():
    limits = Limits(min_agreement=0.995)
    assert finer_than_a_face(limits, faces(162), LABELS) == (
        "min_agreement allows 0.5 % of 162 faces, which is less than one",
    )
    assert finer_than_a_face(limits, faces(200), LABELS) == ()


def test_a_limit_of_nothing_is_meant_so():
    limits = Limits(min_agreement=1.0, max_accuracy_drop=0.0, max_recall_drop=0.0)
    assert finer_than_a_face(limits, faces(10, num_angry=5), LABELS) == ()


def test_labelled_faces():
    limits = Limits(min_agreement=0.9, max_accuracy_drop=0.3, max_recall_drop=2.0)
    assert finer_than_a_face(limits, faces(300, num_angry=20), LABELS) == (
        "max_accuracy_drop allows 0.3 % of 300 faces, which is less than one",
    )


def test_the_limit_of_recall_lets_one_face_pass():
    """So 2 % of 20 angry faces need no note: one lost face breaks nothing, two do."""
    limits, labels = Limits(max_accuracy_drop=50, max_f1_drop=50, max_recall_drop=2.0), faces(300, num_angry=20).labels
    exact = scores_of(np.eye(2, dtype=np.float32)[labels], labels, LABELS)
    broken = {}
    for num_lost in (1, 2):
        answers = labels.copy()
        answers[:num_lost] = 1
        change = change_of(exact, scores_of(np.eye(2, dtype=np.float32)[answers], labels, LABELS))
        broken[num_lost] = broken_scores(change, limits)
    assert broken == {1: [], 2: ["recall of angry -10.00 points (allowed -5)"]}


def test_all_variants_that_are_made(tmp_path, small_spec):
    limits = {"fp16": {"min_agreement": 0.5}, "fp32": {"min_agreement": 0.95}}
    config = ExportConfig(checkpoint=tmp_path / "a.safetensors", out=tmp_path, limits=limits)
    notes = notes_on(config, (Variant.FP32, Variant.FP16), faces(9), small_spec)
    assert notes == (
        "limits of fp32: min_agreement allows 5 % of 9 faces, which is less than one: one face exceeds it. "
        "Fix: more faces, or a wider limit",
    )


def test_it_is_said_before_the_work(tmp_path, small_release, small_network, monkeypatch):
    """Also in a report, and before PyTorch runs."""
    heard = []

    def run(*args, **options):
        raise VerificationError("stop here")

    monkeypatch.setattr(pipeline.TorchEngine, "of", run)
    config = ExportConfig(checkpoint=small_release, out=tmp_path)
    with pytest.raises(VerificationError, match="stop here"):
        pipeline.export(config, on_message=heard.append)
    assert heard[0].startswith("note: limits of fp16: min_agreement allows 0.5 % of 162 faces, which is less than one")
    assert heard[1].startswith("PyTorch on 162 faces")
