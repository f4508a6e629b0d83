"""The comparison with PyTorch and its limits: each fault is found, and named with what was seen and allowed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import EngineError, VerificationError
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.compare import (
    BATCH_SIZE,
    NUM_BATCHED,
    OTHER_BATCH_SIZES,
    Comparison,
    Reference,
    breaches_of,
    compare,
    kl_divergence,
    run_in_batches,
)
from fer_deploy.export.verify.scores import Limits, Scores

NUM = 150


class Distorted(FakeEngine):
    """Fake logits with something done to them."""

    def __init__(self, distort) -> None:
        super().__init__()
        self._distort = distort

    def _run(self, images_nchw):
        return self._distort(super()._run(images_nchw)).astype(np.float32)


def faces_of(num: int = NUM, *, labelled: bool = False) -> VerificationFaces:
    """From dark to bright; labelled as FakeEngine sees them."""
    levels = np.linspace(10, 250, num).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (num, 1, 48, 48)).copy()
    return VerificationFaces(images, (levels > 127.5).astype(np.int64) if labelled else None, "levels")


def compared(distort, *, labelled: bool = False) -> Comparison:
    reference = Reference.of(FakeEngine(), faces_of(labelled=labelled))
    return compare(reference, Distorted(distort), artifact="a.onnx", stage="converted")


class TestCompare:
    def test_equal_engines(self):
        found = compared(lambda logits: logits, labelled=True)
        assert (found.max_abs_logit, found.max_batch_difference, found.kl, found.agreement) == (0, 0, 0, 1)
        assert (found.artifact, found.stage, found.candidate, found.num_faces) == ("a.onnx", "converted", "fake", NUM)
        num_faces = {"dark": 74, "bright": 76}
        assert found.scores == Scores(100, 100, {"dark": 100, "bright": 100}, num_faces=num_faces)
        assert found.change == Scores(0, 0, {"dark": 0, "bright": 0}, num_faces=num_faces)
        assert breaches_of(found, Limits(max_abs_logit=1e-9, max_kl=1e-12, min_agreement=1)) == ()

    def test_largest_difference(self):
        found = compared(lambda logits: logits + np.array([0.0, -0.25]))
        assert found.max_abs_logit == pytest.approx(0.25, abs=1e-6)

    def test_quantile_leaves_single_logits_out(self):
        """One logit of 300 is far off: the largest difference sees all of it, the quantile a part."""
        found = compared(lambda logits: logits + 5.0 * (logits > 0.96))
        assert found.max_abs_logit == pytest.approx(5.0, abs=1e-5)
        assert 0 < found.max_abs_logit_p999 < 4.0

    def test_changed_answers_are_counted(self):
        found = compared(lambda logits: np.where(logits[:, :1] > 0.5, -logits, logits))
        turned = (faces_of().images_nchw[:, 0, 0, 0] < 127.5 * 0.5).mean()
        assert 0.1 < turned < 0.9
        assert found.agreement == pytest.approx(1 - turned)

    def test_scores_and_changes(self):
        found = compared(lambda logits: np.stack([np.ones(len(logits)), np.zeros(len(logits))], axis=1), labelled=True)
        assert found.scores.recall == {"dark": 100, "bright": 0}
        assert found.change.accuracy == pytest.approx(found.scores.accuracy - 100)
        assert found.change.recall == {"dark": 0, "bright": -100}

    def test_faces_without_labels_have_no_scores(self):
        found = compared(lambda logits: -logits)
        assert (found.scores, found.change) == (None, None)

    def test_plain_values(self):
        found = replace(compared(lambda logits: logits, labelled=True), breaches=("too much",))
        plain = json.loads(json.dumps(found.to_dict()))
        assert plain["breaches"] == ["too much"]
        assert plain["scores"]["recall"] == {"dark": 100, "bright": 100}


class TestBatches:
    @pytest.mark.parametrize("size", OTHER_BATCH_SIZES)
    def test_a_fault_in_one_batch_size(self, size):
        found = compared(lambda logits: logits + 1 if len(logits) == size else logits)
        assert found.max_batch_difference == pytest.approx(1.0)
        assert found.max_abs_logit == 0
        (breach,) = breaches_of(found, Limits())
        assert breach == "batch_difference 1.00e+00 (allowed 0.05)"

    def test_faces_that_see_each_other(self):
        """A batch norm in train mode, or a mean over the wrong axis."""
        found = compared(lambda logits: logits - logits.mean(axis=0))
        assert found.max_batch_difference > 0.3

    @pytest.mark.parametrize("frozen", [BATCH_SIZE, 1])
    def test_frozen_batch(self, frozen):
        def refuse(logits):
            if len(logits) != frozen:
                raise EngineError(f"Got: {len(logits)} Expected: {frozen}")
            return logits

        with pytest.raises(VerificationError, match=rf"in batches of \d+: Got: \d+ Expected: {frozen}"):
            compared(refuse)

    @pytest.mark.parametrize("rows", [1, BATCH_SIZE])
    def test_another_number_of_logits_than_faces(self, rows):
        with pytest.raises(VerificationError, match=rf"logits have shape \({rows}, 2\), expected \(\d+, 2\)"):
            compared(lambda logits: np.resize(logits, (rows, 2)))

    def test_run_in_batches(self):
        engine = FakeEngine()
        assert run_in_batches(engine, faces_of(10).images_nchw, 4).shape == (10, 2)
        assert engine.batch_sizes == [4, 4, 2]

    def test_sizes_of_a_comparison(self):
        engine = FakeEngine()
        compare(Reference.of(FakeEngine(), faces_of(200)), engine, artifact="a", stage="onnx")
        assert sum(engine.batch_sizes) == 200 + len(OTHER_BATCH_SIZES) * NUM_BATCHED
        assert {64, 7, 1} <= set(engine.batch_sizes)


class TestNotFinite:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_candidate(self, value):
        with pytest.raises(VerificationError, match="fake gave logits that are not finite"):
            compared(lambda logits: np.where(logits > 0.9, value, logits))

    def test_reference(self):
        """NaN compares as no difference; it must not pass as agreement."""
        with pytest.raises(VerificationError, match="not finite"):
            Reference.of(Distorted(lambda logits: logits * np.nan), faces_of())

    def test_no_limit_takes_nan(self):
        found = replace(GOOD, max_abs_logit=np.nan, max_batch_difference=np.nan, kl=np.nan, agreement=np.nan)
        assert len(breaches_of(found, ENOUGH.model_copy(update={"min_agreement": 0.0}))) == 4


GOOD = Comparison(
    artifact="a",
    stage="engine",
    candidate="fake",
    num_faces=1,
    max_abs_logit=0.01,
    max_abs_logit_p999=0.005,
    max_batch_difference=0.001,
    kl=0.002,
    agreement=0.99,
    scores=Scores(70, 68, {"happy": 90, "fear": 50}),
    change=Scores(-0.2, -0.4, {"happy": 1.0, "fear": -1.5}),
)
ENOUGH = Limits(
    max_abs_logit=0.01,
    max_abs_logit_p999=0.005,
    max_batch_difference=0.001,
    max_kl=0.002,
    min_agreement=0.99,
    max_accuracy_drop=0.2,
    max_f1_drop=0.4,
    max_recall_drop=1.5,
)


class TestLimits:
    def test_what_is_just_allowed(self):
        assert breaches_of(GOOD, ENOUGH) == ()

    @pytest.mark.parametrize(
        ("limit", "value", "text"),
        [
            ("max_abs_logit", 0.0025, "abs_logit 1.00e-02 (allowed 0.0025)"),
            ("max_abs_logit_p999", 1e-3, "abs_logit_p999 5.00e-03 (allowed 0.001)"),
            ("max_batch_difference", 1e-4, "batch_difference 1.00e-03 (allowed 0.0001)"),
            ("max_kl", 1e-3, "kl 2.00e-03 (allowed 0.001)"),
            ("min_agreement", 0.995, "same emotion 99.00% (required 99.50%)"),
            ("max_accuracy_drop", 0.15, "accuracy -0.20 points (allowed -0.15)"),
            ("max_f1_drop", 0.3, "macro-F1 -0.40 points (allowed -0.3)"),
            ("max_recall_drop", 1.0, "recall of fear -1.50 points (allowed -1)"),
        ],
    )
    def test_each_alone(self, limit, value, text):
        assert breaches_of(GOOD, ENOUGH.model_copy(update={limit: value})) == (text,)

    @pytest.mark.parametrize("limit", ["max_abs_logit", "max_abs_logit_p999", "max_kl"])
    def test_what_is_not_judged(self, limit):
        awful = replace(GOOD, max_abs_logit=1e9, max_abs_logit_p999=1e9, kl=1e9)
        found = breaches_of(awful, ENOUGH.model_copy(update={limit: None}))
        assert len(found) == 2
        assert not any(breach.startswith(f"{limit.removeprefix('max_')} ") for breach in found)

    def test_scores_are_judged_on_labelled_faces_only(self):
        assert breaches_of(replace(GOOD, change=None), ENOUGH.model_copy(update={"max_accuracy_drop": 0.0})) == ()

    def test_a_gain_is_no_breach(self):
        gained = replace(GOOD, change=Scores(5, 5, {"happy": 5, "fear": 5}))
        assert breaches_of(gained, ENOUGH.model_copy(update={"max_accuracy_drop": 0.0})) == ()


class TestDivergence:
    def test_equal_logits(self):
        logits = np.random.default_rng(0).normal(0, 9, (20, 7)).astype(np.float32)
        assert (kl_divergence(logits, logits) == 0).all()
        np.testing.assert_allclose(kl_divergence(logits, logits + 3), 0, atol=1e-6)  # the same probabilities

    def test_by_hand(self):
        wanted, got = np.log(np.array([[0.5, 0.5]])), np.log(np.array([[0.25, 0.75]]))
        expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
        assert kl_divergence(wanted.astype(np.float32), got.astype(np.float32)) == pytest.approx([expected], rel=1e-5)

    def test_large_logits_do_not_overflow(self):
        found = kl_divergence(np.float32([[1e4, 0.0]]), np.float32([[0.0, 1e4]]))
        assert found == pytest.approx([1e4])


class TestFaces:
    def test_a_part_is_evenly_spread(self):
        faces = faces_of(100, labelled=True)
        part = faces.at(faces.positions(5))
        assert part.images_nchw[:, 0, 0, 0].tolist() == [faces.images_nchw[i, 0, 0, 0] for i in (0, 24, 49, 74, 99)]
        assert part.labels.tolist() == [0, 0, 1, 1, 1]
        assert len(faces.positions(1000)) == 100

    def test_the_digest_knows_pixels_and_labels(self):
        faces = faces_of(labelled=True)
        others = [
            VerificationFaces(faces.images_nchw, None, "x"),
            VerificationFaces(faces.images_nchw, 1 - faces.labels, "x"),
            VerificationFaces(faces.images_nchw + 1, faces.labels, "x"),
        ]
        assert len({faces.sha256(), *(other.sha256() for other in others)}) == 4
        assert faces.sha256() == faces_of(labelled=True).sha256()

    def test_a_part_of_a_reference(self):
        reference = Reference.of(FakeEngine(), faces_of(100, labelled=True))
        part = reference.subset(10)
        again = Reference.of(FakeEngine(), part.faces)
        np.testing.assert_array_equal(part.logits, again.logits)
        assert part.scores() == again.scores()
