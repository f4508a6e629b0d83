"""Scores on labelled faces, and limits of their change: rare classes are not judged, and one face may be lost."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from fer_deploy.export.verify.scores import MIN_CLASS_FACES, Limits, Scores, broken_scores, change_of, scores_of

LENIENT = Limits(max_accuracy_drop=100, max_f1_drop=100, max_recall_drop=100)


def scored(num_faces: dict[str, int], num_lost: dict[str, int]) -> Scores:
    """Scores of classes of these sizes; the lost faces of each are given to the next class."""
    names = tuple(num_faces)
    labels = np.repeat(np.arange(len(names)), list(num_faces.values()))
    answers = labels.copy()
    for number, name in enumerate(names):
        answers[np.flatnonzero(labels == number)[: num_lost.get(name, 0)]] = (number + 1) % len(names)
    found = scores_of(np.eye(len(names), dtype=np.float32)[answers], labels, names)
    assert found is not None
    return found


def breaches(num_faces: dict[str, int], before: dict[str, int], after: dict[str, int], **limits: float) -> list[str]:
    """What breaks when `after` faces are lost where `before` were."""
    change = change_of(scored(num_faces, before), scored(num_faces, after))
    assert change is not None
    return broken_scores(change, LENIENT.model_copy(update=limits))


class TestScores:
    def test_by_hand(self):
        """Rows: true class; of 4 + 3 + 2 faces, 3, 1 and 2 are recognized."""
        labels = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
        chosen = np.array([0, 0, 0, 1, 0, 1, 2, 2, 2])
        found = scores_of(np.eye(3, dtype=np.float32)[chosen], labels, ("a", "b", "c"))
        assert found.accuracy == pytest.approx(100 * 6 / 9)
        assert found.recall == pytest.approx({"a": 75, "b": 100 / 3, "c": 100})
        f1 = [2 * 3 / (4 + 4), 2 * 1 / (3 + 2), 2 * 2 / (2 + 3)]  # 2 hits / (faces + answers)
        assert found.macro_f1 == pytest.approx(100 * sum(f1) / 3)
        assert found.num_faces == {"a": 4, "b": 3, "c": 2}

    def test_classes_without_faces_are_left_out(self):
        """An answer of a class that no face has is wrong for the face's own class, and no class of its own."""
        labels, chosen = np.array([0, 0, 2, 2]), np.array([0, 1, 2, 2])
        found = scores_of(np.eye(4, dtype=np.float32)[chosen], labels, ("a", "b", "c", "d"))
        assert found.recall == {"a": 50, "c": 100}
        assert found.macro_f1 == pytest.approx(100 * (2 / 3 + 1) / 2)
        assert found.accuracy == 75

    def test_no_labels(self):
        assert scores_of(np.zeros((3, 2), dtype=np.float32), None, ("a", "b")) is None


class TestJudgedClasses:
    def test_f1_of_the_frequent_classes(self):
        """Of 40, 20 and 19 faces, the last ones are rare; 10 of the first are lost to the second."""
        found = scored({"a": 40, "b": 20, "c": MIN_CLASS_FACES - 1}, {"a": 10})
        f1 = [2 * 30 / (40 + 30), 2 * 20 / (20 + 30), 1.0]
        assert found.limited_f1 == pytest.approx(100 * sum(f1[:2]) / 2)
        assert found.macro_f1 == pytest.approx(100 * sum(f1) / 3)
        assert [(label, num) for label, _, num in found.limited_recall()] == [("a", 40), ("b", 20)]

    def test_all_are_frequent(self):
        found = scored({"a": MIN_CLASS_FACES, "b": 30}, {})
        assert found.limited_f1 is None
        assert [label for label, _, _ in found.limited_recall()] == ["a", "b"]

    def test_all_are_rare(self):
        """Then all are judged: a handful of faces must not pass unseen."""
        found = scored({"a": 5, "b": 6}, {"a": 1})
        assert found.limited_f1 is None
        assert list(found.limited_recall()) == [("a", pytest.approx(80), 5), ("b", 100, 6)]

    def test_numbers_that_are_unknown(self):
        assert list(Scores(70, 68, {"a": 90, "b": 50}).limited_recall()) == [("a", 90, None), ("b", 50, None)]


class TestChange:
    def test_in_points(self):
        num_faces = {"a": 40, "b": 20, "c": 10}
        before, after = scored(num_faces, {"b": 1}), scored(num_faces, {"a": 4})
        found = change_of(before, after)
        assert found.accuracy == pytest.approx(100 * -3 / 70)
        assert found.recall == pytest.approx({"a": -10, "b": 5, "c": 0})
        assert found.macro_f1 == pytest.approx(after.macro_f1 - before.macro_f1)
        assert found.limited_f1 == pytest.approx(after.limited_f1 - before.limited_f1)
        assert found.num_faces == num_faces

    def test_without_scores_there_is_none(self):
        known = scored({"a": 2}, {})
        assert (change_of(None, known), change_of(known, None), change_of(None, None)) == (None, None, None)

    def test_it_can_be_written(self):
        found = change_of(scored({"a": 40, "b": 3}, {}), scored({"a": 40, "b": 3}, {"a": 1}))
        assert json.loads(json.dumps(asdict(found)))["num_faces"] == {"a": 40, "b": 3}


class TestBroken:
    def test_one_face_of_a_small_class_passes_and_two_break(self):
        num_faces = {"a": 25, "b": 300}
        assert breaches(num_faces, {}, {"a": 1}, max_recall_drop=2.0) == []
        found = breaches(num_faces, {}, {"a": 2}, max_recall_drop=2.0)
        assert found == ["recall of a -8.00 points (allowed -4)"]

    def test_a_limit_wider_than_one_face_is_kept(self):
        num_faces = {"a": 100, "b": 100}
        assert breaches(num_faces, {}, {"a": 2}, max_recall_drop=2.0) == []
        assert breaches(num_faces, {}, {"a": 3}, max_recall_drop=2.0) == ["recall of a -3.00 points (allowed -2)"]

    def test_a_limit_of_nothing_lets_no_face_pass(self):
        found = breaches({"a": 25, "b": 300}, {}, {"a": 1}, max_recall_drop=0.0)
        assert found == ["recall of a -4.00 points (allowed -0)"]

    @pytest.mark.parametrize(("num", "text"), [(19, None), (20, "recall of a -25.00 points (allowed -5)")])
    def test_a_rare_class_is_not_judged_by_its_recall(self, num, text):
        found = breaches({"a": num, "b": 300}, {}, {"a": 5}, max_recall_drop=2.0)
        assert found == ([] if text is None else [text])

    def test_all_classes_are_rare(self):
        found = breaches({"a": 10, "b": 10}, {}, {"a": 2}, max_recall_drop=2.0)
        assert found == ["recall of a -20.00 points (allowed -10)"]

    def test_a_rare_class_does_not_break_macro_f1(self):
        """Four of its ten faces are lost: macro-F1 falls by far more than F1 of the frequent classes."""
        num_faces = {"rare": 10, "b": 300, "c": 300}
        change = change_of(scored(num_faces, {}), scored(num_faces, {"rare": 4}))
        assert change.macro_f1 < -5
        assert breaches(num_faces, {}, {"rare": 4}, max_f1_drop=0.5) == []

    def test_macro_f1_of_frequent_classes(self):
        num_faces = {"rare": 10, "b": 300, "c": 300}
        (found,) = breaches(num_faces, {}, {"b": 30}, max_f1_drop=0.5)
        f1 = [2 * 270 / (300 + 270), 2 * 300 / (300 + 330)]
        assert found == f"macro-F1 {100 * (sum(f1) / 2 - 1):+.2f} points (allowed -0.5)"

    def test_accuracy_counts_rare_classes_too(self):
        found = breaches({"rare": 10, "b": 90}, {}, {"rare": 1}, max_accuracy_drop=0.5)
        assert found == ["accuracy -1.00 points (allowed -0.5)"]

    def test_gains_break_nothing(self):
        num_faces = {"a": 25, "b": 300, "rare": 3}
        assert breaches(num_faces, {"a": 9, "b": 9, "rare": 2}, {}, max_accuracy_drop=0, max_f1_drop=0) == []

    def test_nan_breaks(self):
        nan = float("nan")
        assert len(broken_scores(Scores(nan, nan, {"a": nan}), LENIENT)) == 3
