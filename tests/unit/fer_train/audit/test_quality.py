import numpy as np
from unit.fer_train.audit.made_faces import blob_faces, of_kind, with_votes

from fer_train.audit.quality import find_low_contrast, find_non_faces, gray_range


def test_range_is_between_the_5th_and_the_95th_percentile():
    images = np.zeros((3, 48, 48), np.uint8)
    images[1] = np.linspace(0, 255, 48 * 48).reshape(48, 48)
    images[2].flat[:100] = 255  # 4 % of the pixels: text on an empty page
    flat, ramp, page = gray_range(images).tolist()
    assert flat == 0
    assert abs(ramp - 0.9 * 255) <= 1
    assert page == 0


def test_blank_images_are_non_faces_without_votes():
    faces = blob_faces()
    faces.images[5] = 90
    faces.images[26] = 0
    found = find_non_faces(faces, gray_range(faces.images), 10)
    assert of_kind(found, "non_face") == [5, 26]
    assert found[0].detail == "blank: spans 0 gray levels"


def test_votes_name_non_faces_by_plurality():
    faces = with_votes(blob_faces(), not_face=(3, 7))
    faces.votes[4] = [5, 0, 0, 0, 0, 0, 0, 0, 0, 5]  # a tie is no plurality
    faces.votes[6] = [3, 0, 0, 0, 0, 0, 0, 0, 7, 0]  # unknown emotion
    faces.images[7] = 0
    found = find_non_faces(faces, gray_range(faces.images), 10)
    assert [finding.detail for finding in found] == [
        "6 FER+ votes for not a face",
        "blank: spans 0 gray levels; 6 FER+ votes for not a face",
    ]
    assert of_kind(found, "non_face") == [3, 7]


def test_low_contrast_begins_where_blank_ends_the_worst_first():
    ranges = np.array([0, 9, 10, 30, 20, 49, 50, 200])
    found = find_low_contrast(ranges, 10, 50)
    assert of_kind(found, "low_contrast") == [2, 4, 3, 5]
    assert found[1].detail == "spans 20 gray levels"
