import cv2
import numpy as np
import pytest
from unit.fer_train.audit.made_faces import blob_faces, blob_images, of_kind

from fer_train.audit.duplicates import number_images
from fer_train.audit.near import Pair, find_near, find_near_pairs, thumbnails


def dimmer(image):
    return (image * 0.6 + 20).astype(np.uint8)


def noisy(image, deviation, seed=9):
    noise = np.random.default_rng(seed).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def images():
    """30: 4 in other light. 31: 7 mirrored. 32: 9 with fine noise. The rest differ."""
    made = blob_images(30)
    return np.concatenate([made, np.stack([dimmer(made[4]), made[7][:, ::-1], noisy(made[9], 8)])])


def test_pairs_are_found_in_other_light_mirrored_and_with_noise(images):
    pairs = find_near_pairs(images, 0.99)
    assert [(pair.first, pair.second, pair.mirrored) for pair in pairs] == [
        (4, 30, False),
        (7, 31, True),
        (9, 32, False),
    ]
    assert all(0.99 <= pair.correlation <= 1 for pair in pairs)


@pytest.mark.parametrize("threshold", [0.55, 0.7, 0.9, 0.99])
def test_bound_loses_no_pair_that_the_full_product_has(images, threshold):
    """700 images, so that the blocks of 512 have a border to get wrong."""
    many = np.concatenate([blob_images(667, seed=3), images])
    small, flipped = thumbnails(many), thumbnails(many[:, :, ::-1])
    best = np.triu(np.maximum(small @ small.T, small @ flipped.T), 1)
    expected = {(int(i), int(j)) for i, j in zip(*np.nonzero(best >= threshold), strict=True)}
    clear = {(i, j) for i, j in expected if best[i, j] > threshold + 1e-5}
    found = {(pair.first, pair.second) for pair in find_near_pairs(many, threshold)}
    assert len(found) >= 3
    assert clear <= found
    assert all(best[i, j] > threshold - 1e-5 for i, j in found)


def test_pair_beneath_the_threshold_is_left_out(images):
    distorted = noisy(images[9], 60)
    pair = np.stack([images[9], distorted])
    correlation = float(
        np.corrcoef(*(cv2.resize(i, (16, 16), interpolation=cv2.INTER_AREA).ravel() for i in pair))[0, 1]
    )
    assert 0.6 < correlation < 0.99
    assert find_near_pairs(pair, 0.99) == []
    found = find_near_pairs(pair, correlation - 0.02)
    assert [pair.correlation for pair in found] == [pytest.approx(correlation, abs=0.01)]


def test_image_that_is_its_own_mirror_is_no_pair_and_flat_images_match_nothing():
    symmetric = np.tile(np.abs(np.arange(48) - 23.5).astype(np.uint8), (48, 1))
    assert find_near_pairs(np.stack([symmetric, np.full((48, 48), 7, np.uint8)]), 0.9) == []
    flat = np.stack([np.full((48, 48), level, np.uint8) for level in (0, 128, 255)])
    assert find_near_pairs(flat, 0.9) == []


def test_progress_ends_with_all_images():
    calls = []
    find_near_pairs(blob_images(600), 0.99, lambda done, total: calls.append((done, total)))
    assert calls == [(512, 600), (600, 600)]


def test_findings_name_the_nearest_twin_and_what_differs():
    faces = blob_faces()
    faces.images[3] = dimmer(faces.images[2])
    pairs = find_near_pairs(faces.images, 0.99)
    found = find_near(faces, number_images(faces), pairs, "Training")
    assert of_kind(found, "near_duplicate") == [2, 3]
    assert of_kind(found, "near_leaked") == []
    assert found[0].detail == f"like Training 3 ({pairs[0].correlation:.4f}, another label)"
    assert found[0].group == found[1].group


def test_near_leaked_is_a_training_face_whose_twin_is_elsewhere_and_whose_copies_share_that():
    faces = blob_faces()
    faces.images[25] = faces.images[6][:, ::-1]  # PublicTest, mirrored
    faces.images[7] = faces.images[6]
    faces.labels[25] = faces.labels[6]
    numbers = number_images(faces)
    unique = faces.images[np.unique(numbers, return_index=True)[1]]
    found = find_near(faces, numbers, find_near_pairs(unique, 0.99), "Training")
    assert of_kind(found, "near_duplicate") == [6, 7, 25]
    assert of_kind(found, "near_leaked") == [6, 7]
    assert "like PublicTest 25 (1.0000, mirrored)" in [f.detail for f in found if f.index == 6]


def test_exactly_leaked_face_is_not_also_nearly_leaked():
    faces = blob_faces()
    faces.images[24] = faces.images[6]
    faces.images[25] = dimmer(faces.images[6])
    numbers = number_images(faces)
    unique = faces.images[np.unique(numbers, return_index=True)[1]]
    found = find_near(faces, numbers, find_near_pairs(unique, 0.99), "Training")
    assert of_kind(found, "near_duplicate") == [6, 24, 25]
    assert of_kind(found, "near_leaked") == []


def test_pairs_that_share_an_image_are_one_group():
    faces = blob_faces()
    pairs = [Pair(1, 5, 0.99, False), Pair(8, 9, 0.99, False), Pair(5, 7, 0.995, False), Pair(7, 8, 0.991, True)]
    found = find_near(faces, np.arange(len(faces)), pairs, "Training")
    assert {finding.index: finding.group for finding in found} == dict.fromkeys([1, 5, 7, 8, 9], 1)
    assert found[1].detail.startswith("like Training 7 (0.9950, another label), Training 1 (0.9900")
