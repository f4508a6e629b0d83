import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from fer_train.evaluation.reliability import brier_score, calibration_error, measure_reliability


def two_class(confidence):
    """Probabilities (N, 2) whose first class is the predicted one at these confidences."""
    return np.stack([confidence, 1 - np.asarray(confidence)], axis=1)


def test_ece_by_hand():
    """Bins (0.5, 0.75] and (0.75, 1]: 0.6 and 0.7 with one right; 0.9 twice, both right; (0.25, 0.5] is empty."""
    probs, labels = two_class([0.6, 0.7, 0.9, 0.9]), np.array([0, 1, 0, 0])
    bins = measure_reliability(probs, labels, num_bins=4)
    assert bins.counts.tolist() == [0, 0, 2, 2]
    np.testing.assert_allclose(bins.confidence, [np.nan, np.nan, 0.65, 0.9])
    np.testing.assert_allclose(bins.accuracy, [np.nan, np.nan, 0.5, 1.0])
    assert bins.ece == pytest.approx((2 * 0.15 + 2 * 0.1) / 4)


def test_ece_agrees_with_a_loop_over_15_bins():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(7, 0.4), size=500)
    labels = rng.integers(0, 7, 500)
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    expected = 0.0
    for low, high in zip(np.arange(15) / 15, (np.arange(15) + 1) / 15, strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(probs, labels) == pytest.approx(expected, rel=1e-9)
    assert expected > 0.3


def test_certain_models_are_calibrated_or_not_at_all():
    certain = two_class([1.0, 1.0])
    assert calibration_error(certain, np.array([0, 0])) == 0
    assert calibration_error(certain, np.array([1, 1])) == 1


def test_a_bin_holds_its_upper_bound():
    assert measure_reliability(two_class([0.5, 0.75]), np.array([0, 0]), num_bins=4).counts.tolist() == [0, 1, 1, 0]


def test_probabilities_that_are_no_numbers_have_no_calibration():
    assert np.isnan(calibration_error(np.full((2, 2), np.nan), np.array([0, 1])))


def test_brier_goes_from_0_to_2():
    certain = two_class([1.0, 1.0])
    assert brier_score(certain, np.array([0, 0])) == 0
    assert brier_score(certain, np.array([1, 1])) == 2
    assert brier_score(np.full((3, 4), 0.25), np.array([0, 1, 2])) == pytest.approx(0.75**2 + 3 * 0.25**2)


def test_brier_of_two_classes_is_twice_the_binary_score():
    rng = np.random.default_rng(1)
    first, labels = rng.random(50), rng.integers(0, 2, 50)
    assert brier_score(two_class(first), labels) == pytest.approx(2 * brier_score_loss(labels, 1 - first))
