import math

import pytest
import torch
import torch.nn.functional as F

from fer_train.config import DistillationConfig
from fer_train.training.loss import training_loss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]])
LABELS = torch.tensor([0, 2])
ONE_HOT = torch.eye(3)[LABELS]


def distillation(**changes):
    return DistillationConfig(teachers=("a",), **changes)


def test_without_teachers_it_is_cross_entropy():
    torch.testing.assert_close(training_loss(LOGITS, ONE_HOT, None, None), F.cross_entropy(LOGITS, LABELS))


def test_smoothed_targets_equal_torchs_label_smoothing():
    smoothed = 0.9 * ONE_HOT + 0.1 / 3
    expected = F.cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    torch.testing.assert_close(training_loss(LOGITS, smoothed, None, None), expected)


def test_a_row_that_sums_to_w_counts_w_times():
    one, other = (F.cross_entropy(LOGITS[i : i + 1], LABELS[i : i + 1]) for i in (0, 1))
    weighted = torch.tensor([[3.0], [0.5]]) * ONE_HOT
    torch.testing.assert_close(training_loss(LOGITS, weighted, None, None), (3 * one + 0.5 * other) / 2)


def test_teachers_and_labels_are_weighed():
    teacher = torch.softmax(torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), dim=1)
    hard, soft = F.cross_entropy(LOGITS, LABELS), F.cross_entropy(LOGITS, teacher)
    found = training_loss(LOGITS, ONE_HOT, teacher, distillation(weight=0.25, temperature=1.0))
    torch.testing.assert_close(found, 0.75 * hard + 0.25 * soft)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_gradients_of_the_teachers_part_keep_their_size_at_any_temperature(temperature):
    """At high temperatures the gradient tends to (student - teacher logits) / C, both centered (Hinton et al.)."""
    teacher_logits = torch.tensor([[0.02, 0.0, -0.02]])
    teacher = torch.softmax(teacher_logits / temperature, dim=1)
    logits = torch.tensor([[0.0, 0.03, -0.03]], requires_grad=True)
    training_loss(logits, ONE_HOT[:1], teacher, distillation(weight=1.0, temperature=temperature)).backward()
    torch.testing.assert_close(logits.grad, (logits.detach() - teacher_logits) / 3, rtol=0.05, atol=1e-4)


def test_a_student_that_agrees_with_its_teacher_has_the_least_loss():
    teacher = torch.softmax(LOGITS / 2, dim=1)
    settings = distillation(weight=1.0, temperature=2.0)
    least = training_loss(LOGITS, ONE_HOT, teacher, settings)
    entropy = -(teacher * teacher.log()).sum(1).mean()
    assert float(least) == pytest.approx(float(entropy) * 4, rel=1e-5)
    for shift in (0.1, -0.1):
        other = LOGITS + shift * torch.eye(3)[0]
        assert training_loss(other, ONE_HOT, teacher, settings) > least
    assert math.isfinite(least)
