import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces, write_csv, write_votes

from fer_train.data.readers.ferplus import join_votes
from fer_train.errors import DataError

VOTES = [[i, 10 - i, 0, 0, 0, 0, 0, 0, 0, 0] for i in range(5)]


@pytest.fixture
def faces():
    return make_faces(Training=3, PublicTest=2)


@pytest.fixture
def usages(faces):
    return faces.splits.tolist()


def test_votes_follow_the_row_number_also_after_a_selection(tmp_path, faces, usages):
    path = write_votes(tmp_path / "fer2013new.csv", usages, VOTES)
    joined = join_votes(faces, path)
    assert joined.votes is not None
    assert joined.votes.tolist() == VOTES
    some = join_votes(faces.select(faces.rows % 2 == 0), path)
    assert some.votes is not None
    assert some.votes.tolist() == [VOTES[0], VOTES[2], VOTES[4]]
    last = joined.select(joined.rows == 4)
    assert last.votes is not None
    assert last.votes.tolist() == [VOTES[4]]


def test_full_vote_file_joins_a_copy_without_private_test(tmp_path, faces, usages):
    path = write_votes(tmp_path / "v.csv", [*usages, "PrivateTest"], [*VOTES, [9] * 10])
    joined = join_votes(faces, path)
    assert joined.votes is not None
    np.testing.assert_array_equal(joined.votes, VOTES)


def error_of(faces, path) -> str:
    with pytest.raises(DataError) as caught:
        join_votes(faces, path)
    assert str(path) in str(caught.value)
    assert ". Fix: " in str(caught.value)
    return str(caught.value)


def test_too_few_rows(tmp_path, faces, usages):
    message = error_of(faces, write_votes(tmp_path / "v.csv", usages[:4], VOTES[:4]))
    assert "has 4 rows but the faces go up to row 4; FER+ is joined row by row" in message


def test_row_of_another_split_is_named_by_line(tmp_path, faces):
    message = error_of(faces, write_votes(tmp_path / "v.csv", ["Training"] * 5, VOTES))
    assert "line 5: Usage is 'Training', the face there is of 'PublicTest'" in message


@pytest.mark.parametrize("bad", ["x", "", "-1", "2.5", "256"])
def test_votes_that_are_no_counts_are_named_by_line(tmp_path, faces, usages, bad):
    votes = [*VOTES[:2], [bad] + [0] * 9, *VOTES[3:]]
    assert "line 4: votes are not ten whole numbers" in error_of(faces, write_votes(tmp_path / "v.csv", usages, votes))


def test_row_that_ends_early_is_named_by_line(tmp_path, faces, usages):
    path = write_votes(tmp_path / "v.csv", usages, [VOTES[0], [1, 2], *VOTES[2:]])
    assert "line 3: votes are not ten whole numbers" in error_of(faces, path)


def test_another_csv_names_the_columns_it_lacks(tmp_path, faces):
    message = error_of(faces, write_csv(tmp_path / "fer2013.csv", faces))
    assert "is not FER+'s fer2013new.csv: no column neutral, happiness" in message


def test_empty_and_missing_and_binary_files(tmp_path, faces):
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert "is not FER+'s fer2013new.csv: no column Usage" in error_of(faces, empty)
    assert "cannot read FER+ votes" in error_of(faces, tmp_path / "absent.csv")
    empty.write_bytes(b"\x89PNG\r\n\xff\xfe")
    assert "is not FER+'s fer2013new.csv: no column Usage" in error_of(faces, empty)


def test_faces_without_row_numbers_cannot_be_joined(tmp_path, faces, usages):
    faces.rows[:] = -1
    path = write_votes(tmp_path / "v.csv", usages, VOTES)
    assert "the image files carry no row numbers. Fix: use fer2013.csv as --data" in error_of(faces, path)
