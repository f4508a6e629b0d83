import numpy as np
from unit.fer_deploy.bench.results import artifact

from fer_deploy.artifacts import bundled_model
from fer_deploy.bench.agreement import agreement_of, drawn_images, logits_of, reference_of
from fer_deploy.engines import open_engine
from fer_deploy.engines.fake import FAKE_SPEC


def test_drawn_faces_are_the_same_on_every_run_and_differ_from_each_other():
    images = drawn_images(FAKE_SPEC.input, 40)
    assert (images.shape, images.dtype) == ((40, 1, 48, 48), np.uint8)
    assert np.array_equal(images, drawn_images(FAKE_SPEC.input, 40))
    assert len(np.unique(images, axis=0)) == 40
    assert images.std(axis=(1, 2, 3)).min() > 5


def test_a_model_sees_several_emotions_in_them():
    with open_engine(bundled_model(), device="cpu", threads=1) as engine:
        logits = logits_of(engine, drawn_images(engine.spec.input, 80))
    shown = {engine.spec.labels[index] for index in logits.argmax(axis=1)}
    assert {"happy", "surprise", "neutral"} <= shown


def test_agreement_is_the_share_of_equal_answers():
    one = np.array([[1, 0], [0, 1], [1, 0], [0, 2]], dtype=np.float32)
    assert agreement_of(one, one * 3) == 1.0
    assert agreement_of(one, one[::-1]) == 0.0
    assert agreement_of(one, np.array([[1, 0]] * 4, dtype=np.float32)) == 0.5


def test_the_reference_is_the_most_precise_file():
    fp32, fp16, int8, plan = (artifact(kind) for kind in ("fp32", "fp16", "int8-cpu", "plan"))
    assert reference_of([plan, int8, fp16, fp32]) is fp32
    assert reference_of([plan, int8, fp16]) is fp16
    assert reference_of([plan, int8]) is None
