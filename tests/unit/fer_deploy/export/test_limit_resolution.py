"""A limit finer than one face is told before the work."""

import numpy as np

from fer_deploy.export.config import ExportConfig
from fer_deploy.export.faces import JudgedFaces
from fer_deploy.export.judging import notes_on
from fer_deploy.export.limit_resolution import finer_than_a_face
from fer_deploy.export.slices import Slice
from fer_deploy.export.variants import Variant
from fer_deploy.export.verify import Limits

LABELS = ("angry", "happy")


def faces(num: int, *, num_angry: int | None = None) -> JudgedFaces:
    labels = None if num_angry is None else (np.arange(num) >= num_angry).astype(np.int64)
    return JudgedFaces(np.zeros((num, 1, 48, 48), dtype=np.uint8), labels, "x")


def test_agreement_of_few_faces():
    limits = Limits(min_agreement=0.995)
    assert finer_than_a_face(limits, faces(162), {}, LABELS) == (
        "min_agreement allows 0.5 % of 162 faces, which is less than one",
    )
    assert finer_than_a_face(limits, faces(200), {}, LABELS) == ()


def test_a_limit_of_nothing_is_meant_so():
    limits = Limits(min_agreement=1.0, max_accuracy_drop=0.0, max_recall_drop=0.0)
    assert finer_than_a_face(limits, faces(10, num_angry=5), {}, LABELS) == ()


def test_labelled_faces():
    limits = Limits(min_agreement=0.9, max_accuracy_drop=0.3, max_recall_drop=2.0)
    assert finer_than_a_face(limits, faces(300, num_angry=20), {}, LABELS) == (
        "max_accuracy_drop allows 0.3 % of 300 faces, which is less than one",
        "max_recall_drop allows 2 % of 20 angry faces, which is less than one",
    )


def test_slices():
    limits = Limits(min_agreement=0.5, min_slice_agreement={Slice.DIM: 0.98, Slice.NOISE: None})
    slices = dict.fromkeys((Slice.CLEAN, Slice.DIM, Slice.NOISE), faces(20))
    assert finer_than_a_face(limits, faces(20), slices, LABELS) == (
        "min_slice_agreement.dim allows 2 % of 20 dim faces, which is less than one",
    )


def test_all_variants_that_are_made(tmp_path, small_spec):
    config = ExportConfig(checkpoint=tmp_path / "a.safetensors", out=tmp_path, limits={"fp16": {"min_agreement": 0.5}})
    notes = notes_on(config, (Variant.FP32, Variant.FP16), faces(9), {Slice.DIM: faces(9)}, small_spec)
    assert notes == (
        "limits of fp32: min_slice_agreement.dim allows 1 % of 9 dim faces, which is less than one: one face breaks "
        "it. Fix: more faces, or a wider limit",
        "limits of fp16: min_slice_agreement.dim allows 1.5 % of 9 dim faces, which is less than one: one face breaks "
        "it. Fix: more faces, or a wider limit",
    )
