"""Temperature scaling on logits whose true temperature is known, and the limit below which a face is unsure."""

import numpy as np
import pytest
from scipy.special import softmax

from fer_train.evaluation.temperature import _even_odds, cross_entropy, fit_calibration, soft_calibration_error

RNG = np.random.default_rng(11)


def draw(probs, rng):
    """Return one-hot (N, C) labels drawn from probabilities (N, C)."""
    return np.eye(probs.shape[1], dtype=np.float32)[[rng.choice(probs.shape[1], p=row) for row in probs]]


def fit(logits, targets):
    return fit_calibration(logits.astype(np.float32), targets.astype(np.float32), split="PublicTest", against="fer2013")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_known_temperature_is_found_from_soft_targets(temperature):
    logits = RNG.normal(size=(500, 7)) * 3
    found = fit(logits, softmax(logits / temperature, axis=1))
    assert found.temperature == pytest.approx(temperature, rel=1e-3)
    assert found.nll_after <= found.nll_before + 1e-9


def test_known_temperature_is_found_from_labels():
    logits = np.random.default_rng(1).normal(size=(6000, 5)) * 3
    found = fit(logits, draw(softmax(logits / 2, axis=1), np.random.default_rng(2)))
    assert found.temperature == pytest.approx(2, rel=0.06)
    assert found.ece_after < 0.03 < found.ece_before
    assert found.nll_after < found.nll_before
    assert found.to_dict()["num_faces"] == 6000


def test_no_answer_changes():
    logits = RNG.normal(size=(300, 7)).astype(np.float32)
    found = fit(logits, np.eye(7)[RNG.integers(0, 7, 300)])  # labels by chance: a very high temperature
    assert found.temperature > 3
    np.testing.assert_array_equal((logits / found.temperature).argmax(axis=1), logits.argmax(axis=1))


def test_cross_entropy_and_calibration_error_by_hand():
    logits = np.log([[0.9, 0.1], [0.6, 0.4]])
    targets = np.array([[1.0, 0.0], [0.5, 0.5]])
    wanted = -(np.log(0.9) + 0.5 * np.log(0.6) + 0.5 * np.log(0.4)) / 2
    assert cross_entropy(logits, targets) == pytest.approx(wanted)
    assert soft_calibration_error(logits, targets) == pytest.approx((0.1 + 0.1) / 2)  # |0.9 - 1| and |0.6 - 0.5|


def test_limit_is_where_right_and_wrong_are_even():
    """Two classes of interest among 50: confidence c, right with probability c; so the limit is a confidence of 0.5."""
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.1, 0.95, size=20_000)
    probs = np.full((len(confidence), 50), 0.0)
    probs[:] = ((1 - confidence) / 49)[:, None]
    probs[:, 0] = confidence
    found = fit(np.log(probs), draw(probs, rng))
    assert found.temperature == pytest.approx(1, rel=0.02)
    assert found.unsure_below == pytest.approx(0.5, abs=0.05)


def test_few_faces_and_a_confident_mistake_do_not_move_the_limit():
    """Right above a confidence of 0.5 and wrong below, but for one mistake at 0.9."""
    confidence = np.linspace(0.2, 0.99, 120)
    probs = np.full((120, 20), 0.0)
    probs[:] = ((1 - confidence) / 19)[:, None]
    probs[:, 0] = confidence
    labels = np.where(confidence > 0.5, 0, 1)
    labels[np.abs(confidence - 0.9).argmin()] = 1
    assert _even_odds(np.log(probs), np.eye(20)[labels]) == pytest.approx(0.5, abs=0.01)


def test_model_that_is_always_right_is_never_unsure():
    labels = np.arange(70) % 7
    assert fit(np.eye(7)[labels] * RNG.uniform(1, 3, size=(70, 1)), np.eye(7)[labels]).unsure_below == 0


def test_one_face_is_enough():
    found = fit(np.array([[2.0, 1.0]]), np.array([[0.6, 0.4]]))
    assert (found.num_faces, found.unsure_below) == (1, 0)
    assert softmax([2 / found.temperature, 1 / found.temperature])[0] == pytest.approx(0.6, abs=1e-3)
