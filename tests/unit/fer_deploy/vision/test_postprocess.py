import numpy as np
import pytest

from fer_deploy.vision.postprocess import emotions_from_logits, probs_from_logits

LABELS = ("angry", "happy", "sad")


def logits(*rows) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 3)


def test_known_probabilities():
    (row,) = probs_from_logits(np.log(logits([1, 2, 5])))
    assert row == pytest.approx([0.125, 0.25, 0.625], abs=1e-6)


@pytest.mark.parametrize("row", [[1e4, 0, -1e4], [-1e4, -1e4, -1e4], [1e38, 0, 0], [3e4, 3e4, 0]])
def test_no_overflow(row):
    probs = probs_from_logits(logits(row))
    assert np.isfinite(probs).all()
    assert probs.sum() == pytest.approx(1)
    assert probs.dtype == np.float32


def test_one_emotion_a_row():
    first, second = emotions_from_logits(logits([0, 9, 0], [1e4, 0, 0]), LABELS)
    assert (first.label, second.label) == ("happy", "angry")
    assert second.probs.as_dict() == {"angry": 1.0, "happy": 0.0, "sad": 0.0}
    assert first.confidence == first.probs["happy"] == first.probs.max()
    assert isinstance(first.confidence, float)


def test_no_rows():
    assert emotions_from_logits(logits(), LABELS) == []


def test_labels_must_fit():
    with pytest.raises(ValueError, match=r"labels for probabilities of shape \(3,\)"):
        emotions_from_logits(logits([0, 1, 2]), ("angry", "happy", "sad", "neutral"))
