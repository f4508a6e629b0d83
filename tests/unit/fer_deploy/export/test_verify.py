import numpy as np
import pytest

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import VerificationError
from fer_deploy.export.verify import BATCH_SIZES, compare, require_agreement, run_in_batches


class Distorted(FakeEngine):
    """Fake logits with something done to them."""

    def __init__(self, distort) -> None:
        super().__init__()
        self._distort = distort

    def _run(self, images_nchw):
        return self._distort(super()._run(images_nchw)).astype(np.float32)


def images_of(num: int = 70) -> np.ndarray:
    levels = np.linspace(10, 250, num).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num, 1, 48, 48)).copy()


def compare_with(distort, reference=None):
    return compare(reference or FakeEngine(), Distorted(distort), images_of(), faces="levels")


def test_equal_engines():
    result = compare_with(lambda logits: logits)
    assert (result.max_abs_logit, result.agreement, result.num_faces) == (0.0, 1.0, 70)
    assert result.to_dict()["faces"] == "levels"
    require_agreement(result, max_abs_logit=1e-9, min_agreement=1.0)


def test_largest_difference_is_found():
    result = compare_with(lambda logits: logits + np.array([0.0, 0.25]))
    assert result.max_abs_logit == pytest.approx(0.25, abs=1e-6)


def test_changed_answers_are_counted():
    result = compare_with(lambda logits: -logits)
    assert result.agreement == 0.0
    with pytest.raises(VerificationError, match=r"fake differs from fake on 70 faces \(levels\): max .*same emotion 0"):
        require_agreement(result, max_abs_logit=9.0, min_agreement=0.99)


def test_too_large_a_difference():
    result = compare_with(lambda logits: logits + 0.01)
    with pytest.raises(VerificationError, match=r"1\.00e-02 \(allowed 1e-03\).*Nothing was written"):
        require_agreement(result, max_abs_logit=1e-3, min_agreement=0.0)


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_a_fault_in_one_batch_size_is_found(size):
    result = compare_with(lambda logits: logits + 1 if len(logits) == size else logits)
    assert result.max_abs_logit == pytest.approx(1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_candidate_that_is_not_finite(value):
    with pytest.raises(VerificationError, match="fake gave logits that are not finite"):
        compare_with(lambda logits: np.where(logits > 0.9, value, logits))


def test_reference_that_is_not_finite():
    """NaN compares as no difference; it must not pass as agreement."""
    reference = Distorted(lambda logits: np.where(logits == logits.max(axis=1, keepdims=True), np.nan, logits))
    with pytest.raises(VerificationError, match="not finite"):
        compare_with(lambda logits: logits, reference)


def test_run_in_batches():
    engine = FakeEngine()
    assert run_in_batches(engine, images_of(10), 4).shape == (10, 2)
    assert engine.batch_sizes == [4, 4, 2]
