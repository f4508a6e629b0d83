"""Degraded faces: deterministic, uint8 in and out, each degraded as its name says."""

from dataclasses import replace

import numpy as np
import pytest
from integration.export_models import patterns

from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.verify.slice_agreement import agreement_on, faces_by_slice, slice_breaches
from fer_deploy.export.verify.slices import DESCRIPTIONS, Slice, degraded, partly_degraded

MADE = tuple(kind for kind in Slice if kind is not Slice.VIDEO)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return patterns(40, seed=5)[0][:, None]


def sharpness(images: np.ndarray) -> float:
    return float(np.abs(np.diff(images.astype(float), axis=3)).mean())


class TestDegraded:
    @pytest.mark.parametrize("kind", MADE)
    def test_same_pixels_again(self, faces, kind):
        before = faces.copy()
        found = degraded(faces, kind)
        assert (found.dtype, found.shape) == (np.uint8, faces.shape)
        assert np.array_equal(found, degraded(faces.copy(), kind))
        assert np.array_equal(faces, before)
        assert np.array_equal(found, faces) is (kind is Slice.CLEAN)
        assert kind in DESCRIPTIONS

    @pytest.mark.parametrize("kind", MADE)
    @pytest.mark.parametrize("shape", [(0, 1, 48, 48), (2, 1, 96, 64), (1, 1, 8, 8)])
    def test_other_sizes(self, kind, shape):
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        assert degraded(images, kind).shape == shape

    def test_dim(self, faces):
        assert degraded(faces, Slice.DIM).mean() == pytest.approx(0.35 * faces.mean(), rel=0.01)

    @pytest.mark.parametrize("kind", [Slice.BLURRED, Slice.DIM_SOFT, Slice.SMALL])
    def test_less_sharp(self, faces, kind):
        assert sharpness(degraded(faces, kind)) < 0.6 * sharpness(faces)

    def test_flat_and_soft(self, faces):
        found = degraded(faces, Slice.DIM_SOFT)
        assert found.std(axis=(1, 2, 3)) == pytest.approx(np.full(40, 25.0), abs=1.0)
        assert found.mean() == pytest.approx(faces.mean(), abs=2)

    def test_a_flat_face_is_given_no_contrast(self):
        gray = np.full((1, 1, 48, 48), 90, dtype=np.uint8)
        assert np.array_equal(degraded(gray, Slice.DIM_SOFT), gray)

    def test_turned_to_both_sides(self):
        bar = np.zeros((2, 1, 48, 48), dtype=np.uint8)
        bar[:, :, 4:44, 22:26] = 255
        left, right = degraded(bar, Slice.TURNED)[:, 0]
        assert np.abs(left.astype(int) - right[:, ::-1]).mean() < 4
        assert np.abs(left.astype(int) - right).mean() > 10

    def test_noise(self, faces):
        gray = np.full((20, 1, 48, 48), 128, dtype=np.uint8)
        assert degraded(gray, Slice.NOISE).std() == pytest.approx(15, abs=0.5)

    def test_a_larger_face_is_blurred_alike(self, faces):
        large = faces.repeat(2, axis=2).repeat(2, axis=3)
        small = degraded(large, Slice.BLURRED)[:, :, ::2, ::2]
        assert np.abs(small.astype(int) - degraded(faces, Slice.BLURRED)).mean() < 8


class TestCalibration:
    def test_a_share_of_all_kinds(self, faces):
        found, count = partly_degraded(faces, 0.3, seed=4)
        changed = [not np.array_equal(one, other) for one, other in zip(found, faces, strict=True)]
        assert (count, sum(changed)) == (12, 12)
        kinds = [kind for kind in MADE if kind is not Slice.CLEAN]
        of_kind = {kind: degraded(faces, kind) for kind in kinds if kind not in (Slice.TURNED, Slice.NOISE)}
        for images in of_kind.values():
            assert sum(np.array_equal(found[i], images[i]) for i in range(40) if changed[i]) == 2

    def test_the_seed_chooses(self, faces):
        first, _ = partly_degraded(faces, 0.5, seed=1)
        assert np.array_equal(first, partly_degraded(faces, 0.5, seed=1)[0])
        assert not np.array_equal(first, partly_degraded(faces, 0.5, seed=2)[0])

    @pytest.mark.parametrize(("share", "count"), [(0.0, 0), (1.0, 40)])
    def test_none_and_all(self, faces, share, count):
        assert partly_degraded(faces, share, seed=0)[1] == count


class TestAgreement:
    def test_slices_of_labelled_faces(self, faces):
        clean = VerificationFaces(faces, np.arange(40) % 7, "patterns")
        found = faces_by_slice(clean, 10)
        assert tuple(found) == MADE
        positions = clean.positions(10)
        for kind, part in found.items():
            assert np.array_equal(part.images_nchw, degraded(faces[positions], kind))
            assert np.array_equal(part.labels, positions % 7)

    def test_crops_of_recordings_are_taken_as_they_are(self, faces):
        video = VerificationFaces(faces[:3], None, "faces of a clip")
        assert faces_by_slice(VerificationFaces(faces, None, "x"), 10, video)[Slice.VIDEO] is video

    def test_no_slices(self, faces):
        assert faces_by_slice(VerificationFaces(faces, None, "x"), 0) == {}

    def test_numbers(self):
        wanted = np.array([[2.0, 1], [1, 2], [3, 0], [0, 1]], dtype=np.float32)
        got = wanted + np.array([[0.0, 2], [0, 0], [0, 0], [0, 0]], dtype=np.float32)
        found = agreement_on(Slice.DIM, wanted, got, np.array([0, 1, 0, 0]))
        assert (found.num_faces, found.agreement, found.max_abs_logit) == (4, 0.75, 2.0)
        assert (found.accuracy, found.accuracy_change) == (50.0, -25.0)
        words = found.in_words()
        assert words == "  dim: same emotion 75.00% of 4 faces, max |Δlogit| 2, accuracy -25.00"
        assert slice_breaches((found,), {Slice.DIM: 0.75, Slice.NOISE: 1.0}) == []
        assert slice_breaches((found,), {Slice.DIM: None}) == []
        assert slice_breaches((found,), {Slice.DIM: 0.76}) == []  # one face of few
        assert slice_breaches((found,), {Slice.DIM: 1.0}) == ["same emotion on dim faces 75.00% (required 100.00%)"]
        many = replace(found, num_faces=8)
        assert slice_breaches((many,), {Slice.DIM: 0.76}) == ["same emotion on dim faces 75.00% (required 76.00%)"]

    def test_without_labels(self):
        logits = np.eye(3, dtype=np.float32)
        found = agreement_on(Slice.VIDEO, logits, logits, None)
        assert (found.agreement, found.accuracy, found.accuracy_change) == (1.0, None, None)
