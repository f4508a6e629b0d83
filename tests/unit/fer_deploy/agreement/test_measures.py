"""Kappa, accuracy and recall against scikit-learn, and the bootstrap by person."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, recall_score

from fer_deploy.agreement.measures import accuracy_of, kappa_of, measures_from, recall_of

LABELS = ("a", "b", "c")


def drawn(seed, num=200):
    """Codes and results of three labels that agree in part, with a rare third label."""
    random = np.random.default_rng(seed)
    codes = random.choice(3, num, p=[0.6, 0.35, 0.05])
    return codes, np.where(random.random(num) < 0.5, codes, random.integers(0, 3, num))


@pytest.mark.parametrize("seed", range(5))
def test_as_scikit_learn(seed):
    codes, results = drawn(seed)
    confusion = confusion_matrix(codes, results, labels=range(3))
    assert kappa_of(confusion) == pytest.approx(cohen_kappa_score(codes, results))
    assert accuracy_of(confusion) == pytest.approx(accuracy_score(codes, results))
    assert recall_of(confusion) == pytest.approx(recall_score(codes, results, average=None))


def test_known_value():
    """The example of the article on Cohen's kappa in Wikipedia: 0.4."""
    assert kappa_of(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)


def test_one_label_on_both_sides_has_no_kappa():
    found = measures_from(np.array([[[5, 0], [0, 0]]] * 2), ("a", "b"), num_samples=100, seed=0)
    assert found.kappa == (None, None, None)
    assert found.accuracy == (1.0, 1.0, 1.0)
    assert found.recall["b"] == (None, None, None)
    assert found.recall["b"].text == "-"


def test_nothing_to_compare():
    found = measures_from(np.zeros((0, 2, 2), dtype=np.int64), ("a", "b"), num_samples=100, seed=0)
    assert found.accuracy.value is None


class TestBootstrap:
    def test_draws_people(self):
        """Each person's moments are alike, so the interval is that of 4 people and not of 4,000 moments."""
        right, wrong = np.diag([500, 500]), np.fliplr(np.diag([500, 500]))
        found = measures_from(np.stack([right, right, right, wrong]), ("a", "b"), num_samples=4000, seed=1)
        assert found.accuracy.value == 0.75
        assert (found.accuracy.low, found.accuracy.high) == (0.25, 1.0)  # quantiles of a binomial of 4 draws

    def test_equals_a_loop(self):
        by_person = np.stack([confusion_matrix(*drawn(seed, 30), labels=range(3)) for seed in range(6)])
        found = measures_from(by_person, LABELS, num_samples=700, seed=3)
        random = np.random.default_rng(3)
        times = np.concatenate([random.multinomial(6, np.full(6, 1 / 6), size=num) for num in (500, 200)])
        samples = [
            kappa_of(sum(weight * one for weight, one in zip(weights, by_person, strict=True))) for weights in times
        ]
        assert (found.kappa.low, found.kappa.high) == pytest.approx(np.nanpercentile(samples, [2.5, 97.5]), abs=1e-4)
        assert found.kappa.low < found.kappa.value < found.kappa.high

    def test_seed(self):
        by_person = np.stack([confusion_matrix(*drawn(seed, 30), labels=range(3)) for seed in range(6)])
        first, again, other = (measures_from(by_person, LABELS, num_samples=100, seed=seed) for seed in (1, 1, 2))
        assert first == again
        assert first != other

    def test_one_person_has_no_interval(self):
        found = measures_from(np.diag([3, 4])[None], ("a", "b"), num_samples=100, seed=0)
        assert found.kappa == (1.0, None, None)
        assert found.kappa.text == "1.00"
