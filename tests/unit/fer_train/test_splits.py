import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces

from fer_train.data import apply_protocol, take_split
from fer_train.data.splits import pixel_hashes, read_row_numbers
from fer_train.errors import DataError, SplitAbsentError


@pytest.fixture
def faces():
    """Rows 1 and 5 of Training have twins in PublicTest and PrivateTest; rows 2 and 3 are twins of each other."""
    made = make_faces(Training=6, PublicTest=2, PrivateTest=2)
    made.images[6] = made.images[1]
    made.images[9] = made.images[5]
    made.images[3] = made.images[2]
    return made


def test_take_split_keeps_rows_and_name(faces):
    public = take_split(faces, "PublicTest")
    assert public.rows.tolist() == [6, 7]
    assert public.counts() == {"PublicTest": 2}
    np.testing.assert_array_equal(public.images, faces.images[6:8])


def test_absent_split_says_which_there_are():
    faces = make_faces(Training=1500, PublicTest=2)
    with pytest.raises(SplitAbsentError) as caught:
        take_split(faces, "PrivateTest")
    assert "has no split 'PrivateTest'" in str(caught.value)
    assert "Training (1,500), PublicTest (2)" in str(caught.value)


def test_clean_protocol_drops_exactly_the_training_rows_with_a_twin_elsewhere(faces):
    kept = apply_protocol(faces, "clean", "Training")
    assert kept.rows.tolist() == [0, 2, 3, 4, 6, 7, 8, 9]


def test_official_protocol_drops_nothing(faces):
    assert apply_protocol(faces, "official", "Training", np.array([0])) is faces


def test_twin_rows_are_dropped_from_training_only(faces):
    kept = apply_protocol(faces, "clean", "Training", np.array([0, 7], dtype=np.int64))
    assert kept.rows.tolist() == [2, 3, 4, 6, 7, 8, 9]


def test_twin_rows_need_row_numbers(faces):
    faces.rows[:] = -1
    with pytest.raises(DataError, match=r"the image files carry none\. Fix: use fer2013\.csv"):
        apply_protocol(faces, "clean", "Training", np.array([0], dtype=np.int64))


def test_pixel_hashes_tell_one_changed_pixel():
    images = np.zeros((3, 48, 48), np.uint8)
    images[2, 47, 47] = 1
    first, second, third = pixel_hashes(images)
    assert first == second != third


def test_twin_rows_file_with_comments_and_blank_lines(tmp_path):
    path = tmp_path / "twins.txt"
    path.write_text("# rows\n3\n\n 17  # why\n")
    assert read_row_numbers(path).tolist() == [3, 17]


def test_bad_twin_row_is_named_by_line(tmp_path):
    path = tmp_path / "twins.txt"
    path.write_text("# rows\n3\n-4\n")
    with pytest.raises(DataError, match=r"twins\.txt line 3: '-4' is not a row number"):
        read_row_numbers(path)
    with pytest.raises(DataError, match="cannot read row numbers from"):
        read_row_numbers(tmp_path / "absent.txt")
