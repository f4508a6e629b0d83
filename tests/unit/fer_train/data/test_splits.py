import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces

from fer_train.data import apply_protocol, take_split
from fer_train.data.splits import few_faces, pixel_hashes, read_row_numbers
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


def test_official_protocol_drops_nothing_on_its_own(faces):
    kept = apply_protocol(faces, "official", "Training", np.array([0]))
    assert kept.digest() == faces.digest()
    assert kept.rows.tolist() == faces.rows.tolist()


@pytest.mark.parametrize(("protocol", "kept"), [("official", [1, 2, 3, 5]), ("clean", [2, 3])])
def test_excluded_rows_are_dropped_from_training_under_either_protocol(faces, protocol, kept):
    out = apply_protocol(faces, protocol, "Training", exclude_rows=np.array([0, 4, 7, 99]))
    assert out.rows.tolist() == [*kept, 6, 7, 8, 9]


@pytest.mark.parametrize("protocol", ["official", "clean"])
def test_excluded_rows_need_row_numbers(faces, protocol):
    faces.rows[:] = -1
    with pytest.raises(DataError, match=r"row numbers to leave out were given, but the image files carry none"):
        apply_protocol(faces, protocol, "Training", exclude_rows=np.array([0]))


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
    with pytest.raises(
        DataError, match=r"twins\.txt line 3: '-4' is not a row number\. Fix: exclude\.csv of fer-train audit, or"
    ):
        read_row_numbers(path)
    with pytest.raises(DataError, match=r"cannot read row numbers from .*Fix: exclude\.csv"):
        read_row_numbers(tmp_path / "absent.txt")


def test_row_numbers_of_a_table_are_its_column_row(tmp_path):
    path = tmp_path / "exclude.csv"
    path.write_text('row,reason\n3,"twin, of 5"\n17,not a face\n')
    assert read_row_numbers(path).tolist() == [3, 17]


def test_table_without_rows_leaves_out_nothing(tmp_path):
    path = tmp_path / "exclude.csv"
    path.write_text("row,reason\n")
    assert read_row_numbers(path).tolist() == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("index,reason\n3,x\n", r"exclude\.csv has no column 'row'; it has index, reason\. Fix: "),
        ("row,reason\n3,x\nmany,y\n", r"exclude\.csv line 3: 'many' is not a row number"),
        ("reason,row\nx\n", r"exclude\.csv line 2: '' is not a row number"),
    ],
)
def test_bad_table_is_named(tmp_path, text, fault):
    path = tmp_path / "exclude.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=fault):
        read_row_numbers(path)
    with pytest.raises(DataError, match="cannot read row numbers from"):
        read_row_numbers(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", ["rows.txt", "rows.csv"])
def test_number_that_no_row_can_have(tmp_path, name):
    path = tmp_path / name
    path.write_text("row\n" * name.endswith(".csv") + "9" * 30 + "\n")
    with pytest.raises(DataError, match="is not a row number"):
        read_row_numbers(path)


def test_table_that_a_spreadsheet_saved_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "exclude.csv"
    path.write_bytes(b"\xef\xbb\xbfrow\r\n3\r\n")
    assert read_row_numbers(path).tolist() == [3]


def test_few_faces_are_spread_over_the_classes_of_each_split():
    faces = make_faces(Training=700, PublicTest=70, PrivateTest=30)
    rare = faces.labels == 6
    faces.labels[rare & (np.cumsum(rare) > 2)] = 0
    few = few_faces(faces, {"Training": 140, "PublicTest": 500})
    counts = few.counts()
    assert counts["PublicTest"] == 70
    assert 140 <= counts["Training"] <= 147
    assert set(counts) == {"Training", "PublicTest"}
    numbers = np.bincount(few.labels[few.splits == "Training"], minlength=7)
    assert numbers[6] >= 1
    assert all(18 <= number <= 22 for number in numbers[1:6])
    assert (np.diff(few.rows) > 0).all()
