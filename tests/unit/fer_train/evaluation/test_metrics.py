import json
import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fer_train.data.faces import EMOTIONS
from fer_train.errors import DataError
from fer_train.evaluation.metrics import bootstrap_intervals, class_scores, fit_to_votes, measure, probs_from_logits


def one_hot(predicted, num_classes, height=5.0):
    return (np.eye(num_classes)[predicted] * height).astype(np.float32)


@pytest.fixture
def metrics():
    """True 0 0 1 2, predicted 0 1 1 1: worked out by hand in the tests."""
    return measure(one_hot([0, 1, 1, 1], 3), np.array([0, 0, 1, 2]))


def test_averages_by_hand(metrics):
    assert metrics.num_faces == 4
    assert metrics.accuracy == pytest.approx(2 / 4)
    assert metrics.precision == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert metrics.recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert metrics.f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_per_class_by_hand(metrics):
    assert metrics.per_class["class_0"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2})
    assert metrics.per_class["class_1"] == pytest.approx({"precision": 1 / 3, "recall": 1, "f1": 0.5, "support": 1})
    assert metrics.per_class["class_2"] == pytest.approx({"precision": 0, "recall": 0, "f1": 0, "support": 1})


def test_confusion_has_a_row_for_each_true_label(metrics):
    assert metrics.confusion == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_loss_is_the_mean_cross_entropy():
    assert measure(np.zeros((4, 3), np.float32), np.array([0, 0, 1, 2])).loss == pytest.approx(math.log(3))
    right, wrong = -math.log(math.e / (math.e + 2)), -math.log(1 / (math.e + 2))
    assert measure(one_hot([0, 0], 3, 1.0), np.array([0, 1])).loss == pytest.approx((right + wrong) / 2)


def test_class_absent_from_the_split_counts_as_0_in_the_averages():
    perfect = measure(one_hot([0, 1], 3), np.array([0, 1]))
    assert perfect.accuracy == 1
    assert perfect.f1 == pytest.approx(2 / 3)
    assert perfect.per_class["class_2"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert perfect.confusion[2] == [0, 0, 0]


def test_seven_classes_carry_their_names_and_go_into_json():
    metrics = measure(one_hot([3, 6], 7), np.array([3, 3]))
    assert tuple(metrics.per_class) == EMOTIONS
    assert metrics.per_class["happy"]["support"] == 2
    assert json.loads(json.dumps(metrics.to_dict())) == metrics.to_dict()


def test_names_of_the_classes_can_be_given():
    assert list(measure(one_hot([0, 1], 2), np.array([0, 1]), names=["calm", "cross"]).per_class) == ["calm", "cross"]


def test_label_that_the_model_does_not_know():
    with pytest.raises(DataError, match="the data have label 3, the model has 3 classes, 0 to 2"):
        measure(one_hot([0, 1], 3), np.array([0, 3]))


def test_calibration_is_measured_on_softmax_probabilities():
    """Probabilities 0.8 and 0.2; two of three right: ECE |0.8 - 2/3|, Brier (2 * 0.08 + 1.28) / 3."""
    logits = np.log(np.array([[0.8, 0.2]] * 3, np.float32))
    metrics = measure(logits, np.array([0, 0, 1]))
    assert metrics.ece == pytest.approx(0.8 - 2 / 3, abs=1e-6)
    assert metrics.brier == pytest.approx((0.08 + 0.08 + 1.28) / 3, abs=1e-6)


def test_broken_weights_give_nan_and_no_crash():
    metrics = measure(np.full((4, 3), np.nan, np.float32), np.array([0, 0, 1, 2]))
    assert math.isnan(metrics.loss)
    assert math.isnan(metrics.ece)
    assert math.isnan(metrics.brier)


def test_probabilities_sum_to_1_and_keep_the_order():
    probs = probs_from_logits(np.array([[1000.0, 0.0, -5.0], [0.0, math.log(3), -np.inf]], np.float32))
    np.testing.assert_allclose(probs, [[1, 0, 0], [0.25, 0.75, 0]], atol=1e-6)


def resampled_rows(labels, predicted, num_resamples, seed):
    """The textbook's bootstrap: draw faces with replacement, measure each sample anew."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num_resamples):
        chosen = rng.integers(0, len(labels), len(labels))
        metrics = measure(one_hot(predicted[chosen], 3), labels[chosen])
        rows.append((metrics.accuracy, metrics.f1))
    return np.percentile(rows, [2.5, 97.5], axis=0).T


@pytest.mark.slow
def test_intervals_are_those_of_faces_drawn_with_replacement():
    rng = np.random.default_rng(3)
    labels = rng.choice(3, size=300, p=[0.6, 0.35, 0.05])
    predicted = np.where(rng.random(300) < 0.7, labels, rng.integers(0, 3, 300))
    metrics = measure(one_hot(predicted, 3), labels)
    accuracy, f1 = resampled_rows(labels, predicted, 600, seed=1)
    assert metrics.accuracy_interval == pytest.approx(accuracy, abs=0.012)
    assert metrics.f1_interval == pytest.approx(f1, abs=0.02)
    assert metrics.f1_interval[1] - metrics.f1_interval[0] > 0.1


def test_interval_of_accuracy_has_the_width_of_the_binomial():
    (low, high), _ = bootstrap_intervals(np.array([[2400, 600], [589, 0]]), num_resamples=4000)
    share = 2400 / 3589
    half = 1.96 * math.sqrt(share * (1 - share) / 3589)
    assert (low, high) == pytest.approx((share - half, share + half), abs=0.002)


def test_interval_of_a_perfect_model_is_a_point_and_the_seed_decides_the_draw():
    assert bootstrap_intervals(np.diag([5, 9])) == ([1.0, 1.0], [1.0, 1.0])
    confusion = np.array([[30, 12], [7, 20]])
    assert bootstrap_intervals(confusion) == bootstrap_intervals(confusion)
    assert bootstrap_intervals(confusion, num_resamples=50) != bootstrap_intervals(confusion, num_resamples=50, seed=1)


def test_fit_to_votes_by_hand():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [0.2, 0.6, 0.2]], dtype=np.float32)) + 3
    shares = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], dtype=np.float32)
    fit = fit_to_votes(logits, shares)
    assert fit.num_faces == 3
    assert fit.kl == pytest.approx((0 + np.log(2) + np.log(5)) / 3, abs=1e-6)
    assert fit.agreement == pytest.approx((0.7 + 0.0 + 0.0) / 3, abs=1e-6)
    assert fit.best_agreement == pytest.approx((0.7 + 0.5 + 1.0) / 3, abs=1e-6)


def test_fit_to_votes_stays_finite_where_the_model_rules_out_what_was_voted():
    fit = fit_to_votes(np.array([[500.0, -500.0]], dtype=np.float32), np.array([[0.0, 1.0]], dtype=np.float32))
    assert fit.kl == pytest.approx(1000)


@pytest.mark.parametrize("absent", [None, 3])
def test_scores_of_the_classes_are_those_of_scikit_learn(absent):
    dice = np.random.default_rng(0)
    labels, predicted = dice.integers(0, 7, (2, 500))
    if absent is not None:  # neither a label nor predicted: 0, as with zero_division=0
        labels, predicted = (np.where(values == absent, 0, values) for values in (labels, predicted))
    confusion = confusion_matrix(labels, predicted, labels=range(7))
    wanted = precision_recall_fscore_support(labels, predicted, labels=range(7), zero_division=0)[:3]
    np.testing.assert_allclose(class_scores(confusion), wanted)
