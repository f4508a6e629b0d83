from pathlib import Path

import numpy as np
import pytest
from unit.fer_train.synthetic_faces import csv_row, make_faces, write_csv, write_icml_csv

from fer_train.data.readers.csv_file import parse_csv
from fer_train.errors import DataError

HEADER = "emotion,pixels,Usage"
ONES = np.ones(2304, dtype=np.int64)
GOOD = csv_row(ONES)


def with_first_pixel(value: str) -> str:
    return f'3,"{value} {" ".join(["1"] * 2303)}",Training'


def parse_lines(folder: Path, *lines: str):
    path = folder / "fer2013.csv"
    path.write_text("\n".join([*lines, ""]))
    return parse_csv(path, "digest")


def error_of(folder: Path, *lines: str) -> str:
    with pytest.raises(DataError) as caught:
        parse_lines(folder, *lines)
    return str(caught.value)


def test_reads_images_labels_splits_rows_and_digest(tmp_path):
    expected = make_faces(Training=5, PublicTest=2, PrivateTest=1)
    faces = parse_csv(write_csv(tmp_path / "fer2013.csv", expected), "digest")
    np.testing.assert_array_equal(faces.images, expected.images)
    assert faces.images.dtype == np.uint8
    assert faces.labels.tolist() == expected.labels.tolist()
    assert faces.counts() == {"Training": 5, "PublicTest": 2, "PrivateTest": 1}
    assert faces.rows.tolist() == list(range(8))
    assert faces.source_sha256 == "digest"
    assert faces.votes is None


def test_icml_file_reads_equal_to_fer2013(tmp_path):
    expected = make_faces(Training=4, PublicTest=3)
    kaggle = parse_csv(write_csv(tmp_path / "fer2013.csv", expected), "")
    icml = parse_csv(write_icml_csv(tmp_path / "icml_face_data.csv", expected), "")
    for name in ("images", "labels", "splits", "rows"):
        np.testing.assert_array_equal(getattr(kaggle, name), getattr(icml, name))


@pytest.mark.parametrize("header", ["\ufeffemotion,pixels,Usage", " Emotion , Pixels,USAGE"])
def test_header_may_carry_a_byte_order_mark_spaces_and_any_case(tmp_path, header):
    assert len(parse_lines(tmp_path, header, GOOD)) == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        pytest.param("3,,Training", "pixels are missing", id="missing pixels"),
        pytest.param(csv_row(ONES[1:]), "has 2,303 pixels, expected 2,304 (48x48)", id="2303 pixels"),
        pytest.param(csv_row(np.ones(2305, int)), "has 2,305 pixels, expected 2,304 (48x48)", id="2305 pixels"),
        pytest.param(csv_row(ONES, label=9), "label '9' is not 0 to 6", id="label 9"),
        pytest.param(csv_row(ONES, label=-1), "label '-1' is not 0 to 6", id="label -1"),
        pytest.param(csv_row(ONES, label="happy"), "label 'happy' is not 0 to 6", id="label in words"),
        pytest.param(
            csv_row(ONES, usage="Validation"),
            "usage 'Validation' is not one of Training, PublicTest, PrivateTest",
            id="unknown usage",
        ),
        pytest.param(with_first_pixel("256"), "pixel value 256 is not 0 to 255", id="pixel 256"),
        pytest.param(with_first_pixel("4294967297"), "is not 0 to 255", id="pixel 2**32 + 1"),
        pytest.param(with_first_pixel("18446744073709551617"), "184467440737 is not 0 to 255", id="pixel 2**64 + 1"),
        pytest.param(with_first_pixel("1a"), "pixels contain something that is not a whole number", id="letters"),
        pytest.param(with_first_pixel("-1"), "pixels contain something that is not a whole number", id="negative"),
        pytest.param(with_first_pixel("1.5"), "pixels contain something that is not a whole number", id="fraction"),
        pytest.param("3", "has 1 columns, expected 3", id="too few columns"),
    ],
)
def test_bad_row_is_named_by_line_number(tmp_path, row, fault):
    message = error_of(tmp_path, HEADER, GOOD, row, GOOD)
    assert "fer2013.csv: 1 bad row(s):" in message
    assert "line 3: " in message
    assert fault in message


def test_every_bad_row_is_named(tmp_path):
    message = error_of(tmp_path, HEADER, csv_row(ONES, label=9), GOOD, csv_row(ONES, usage="Test"))
    assert "2 bad row(s)" in message
    assert "line 2: label '9'" in message
    assert "line 4: usage 'Test'" in message
    assert "line 3" not in message
    assert message.splitlines()[-1].startswith("Fix: give Kaggle's fer2013.csv or icml_face_data.csv as --data")


def test_stops_after_ten_bad_rows(tmp_path):
    message = error_of(tmp_path, HEADER, *["9,,Training"] * 12)
    assert "10 bad row(s) (stopped there)" in message
    assert "line 11:" in message
    assert "line 12" not in message


def test_blank_lines_are_skipped_and_counted(tmp_path):
    assert len(parse_lines(tmp_path, HEADER, GOOD, "", GOOD)) == 2
    assert "line 4: pixels are missing" in error_of(tmp_path, HEADER, GOOD, "", "3,,Training")


def test_line_number_counts_lines_within_quotes(tmp_path):
    half = " ".join(["1"] * 1152)
    message = error_of(tmp_path, HEADER, f'3,"{half}\n{half}",Training', "3,,Training")
    assert "line 4: pixels are missing" in message
