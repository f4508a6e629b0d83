import pytest
from unit.fer_train.audit.made_faces import blob_faces, of_kind

from fer_train.audit.duplicates import describe_face, find_exact, number_images


@pytest.fixture
def faces():
    """Training 24, PublicTest 24 to 31.

    One label: 1 = 8 = 15, 4 = 24, 30 = 31. Labels differ: 2 = 3, 5 = 26.
    """
    made = blob_faces()
    for copy, original, same_label in ((8, 1, 1), (15, 1, 1), (3, 2, 0), (24, 4, 1), (26, 5, 0), (31, 30, 1)):
        made.images[copy] = made.images[original]
        made.labels[copy] = (made.labels[original] + (0 if same_label else 1)) % 7
    return made


def search(faces, train_split="Training"):
    return find_exact(faces, number_images(faces), train_split)


def test_identical_pixels_have_one_number_counted_by_first_appearance(faces):
    numbers = number_images(faces)
    assert numbers[:5].tolist() == [0, 1, 2, 2, 3]
    assert numbers[8] == numbers[15] == 1
    assert numbers.max() + 1 == len(faces) - 6


def test_every_member_of_a_group_in_any_split_is_an_exact_duplicate(faces):
    found = search(faces)
    assert of_kind(found, "exact_duplicate") == [1, 8, 15, 2, 3, 4, 24, 5, 26, 30, 31]
    group = next(finding.group for finding in found if finding.index == 1)
    assert [f.index for f in found if f.kind == "exact_duplicate" and f.group == group] == [1, 8, 15]
    assert found[0].detail == "same pixels: Training 1, Training 8, Training 15"


def test_leaked_are_training_rows_with_a_twin_elsewhere(faces):
    assert of_kind(search(faces), "leaked") == [4, 5]
    assert of_kind(search(faces, "PublicTest"), "leaked") == [24, 26]


def test_contradictory_groups_name_all_members_and_count_the_labels(faces):
    found = [finding for finding in search(faces) if finding.kind == "contradictory"]
    assert [finding.index for finding in found] == [2, 3, 5, 26]
    assert found[0].detail == "labels of these pixels: fear x1, happy x1"


def test_first_of_an_agreeing_group_is_kept_and_other_splits_are_left_alone(faces):
    found = [finding for finding in search(faces) if finding.kind == "redundant"]
    assert [finding.index for finding in found] == [8, 15]
    assert {finding.detail for finding in found} == {"same pixels and label as Training 1"}


def test_different_faces_give_no_finding():
    assert search(blob_faces()) == []


def test_face_without_a_row_is_named_by_its_position():
    faces = blob_faces()
    faces.rows[:] = -1
    assert describe_face(faces, 25) == "PublicTest #25"
