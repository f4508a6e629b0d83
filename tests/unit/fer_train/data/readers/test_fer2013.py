import gzip
import subprocess
import zipfile

import cv2
import numpy as np
import pytest
from unit.fer_train.synthetic_faces import make_faces, write_csv, write_folder, write_votes

from fer_train.data import read_faces
from fer_train.errors import DataError

EXPECTED = "Expected a CSV with the columns emotion, pixels and Usage. Fix: give Kaggle's fer2013.csv"


def make_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fer2013.csv", "emotion,pixels,Usage")


def make_png(path):
    path.write_bytes(cv2.imencode(".png", np.zeros((48, 48), np.uint8))[1].tobytes())


WRONG_FILES = {
    "zip": (make_zip, "seems to be a zip archive; unpack it first"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"emotion")), "seems to be a gzip archive; unpack it first"),
    "png": (make_png, "is a picture (PNG), not a data set"),
    "jpeg": (lambda p: p.write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF"), "is a picture (JPEG), not a data set"),
    "webp": (lambda p: p.write_bytes(b"RIFF\x10\0\0\0WEBPVP8 "), "is a picture (WebP), not a data set"),
    "html": (lambda p: p.write_text("<!DOCTYPE html>\n<html>"), "seems to be a web page"),
    "html after blank lines": (lambda p: p.write_text("\n\n  <!DOCTYPE html>\n"), "seems to be a web page"),
    "votes": (lambda p: write_votes(p, ["Training"], [[1] * 10]), "seems to be FER+'s vote file (fer2013new.csv)"),
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "train.csv": (lambda p: p.write_text("emotion,pixels\n3,1 2 3\n"), "which lacks the Usage column"),
    "binary": (lambda p: p.write_bytes(bytes(range(256))), "seems to be a binary file"),
    "utf-16 without rows": (
        lambda p: p.write_text("emotion,pixels", encoding="utf-16"),
        "which lacks the Usage column",
    ),
    "zeros": (lambda p: p.write_bytes(bytes(99)), "seems to be a binary file"),
    "other csv": (lambda p: p.write_text("name,age\nx,3\n"), "has the columns name, age"),
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_wrong_file_is_named_by_what_it_seems_to_be(tmp_path, kind):
    make, seen = WRONG_FILES[kind]
    path = tmp_path / "fer2013.csv"
    make(path)
    with pytest.raises(DataError) as caught:
        read_faces(path)
    assert str(path) in str(caught.value)
    assert seen in str(caught.value)
    assert EXPECTED in str(caught.value)


@pytest.mark.parametrize("text", ["em", "name,age\nx,3\n"])  # the first is what a torn file may be
@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-32", "UTF-32"), ("utf-32-be", "UTF-32BE")],
)
def test_another_encoding_is_named_and_the_command_in_the_message_changes_it(tmp_path, encoding, shown, text):
    path = tmp_path / "my faces.csv"
    path.write_text(text, encoding=encoding)
    columns = text.partition("\n")[0].replace(",", ", ")
    with pytest.raises(
        DataError, match=rf"my faces\.csv was read as {shown} and has the columns {columns}\. "
    ) as caught:
        read_faces(path)
    command = str(caught.value).partition("Fix: save it as UTF-8, with ")[2].partition(", or give")[0]
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "my faces-utf8.csv").read_text(encoding="utf-8") == text


def test_votes_given_as_data_name_the_flag_they_belong_to(tmp_path):
    path = write_votes(tmp_path / "fer2013new.csv", ["Training"], [[1] * 10])
    with pytest.raises(DataError, match=r"give it with --ferplus, beside fer2013\.csv"):
        read_faces(path)


def test_header_without_rows(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n")
    with pytest.raises(DataError, match="has a header but no rows; the full file has 35,887"):
        read_faces(path)


def test_missing_path_says_what_was_expected_and_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as caught:
        read_faces(tmp_path / "absent.csv")
    assert "no data at" in str(caught.value)
    assert "Expected Kaggle's fer2013.csv or icml_face_data.csv, or a folder" in str(caught.value)
    assert "Fix: download it from kaggle.com/" in str(caught.value)


def test_a_file_that_is_refused_leaves_no_cache(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n9,,Training\n")
    with pytest.raises(DataError):
        read_faces(path)
    assert list(tmp_path.iterdir()) == [path]


def test_folder_holds_the_same_faces_as_the_csv(tmp_path):
    faces = make_faces(Training=12, PublicTest=5, PrivateTest=4)
    from_csv = read_faces(write_csv(tmp_path / "fer2013.csv", faces))
    from_folder = read_faces(write_folder(tmp_path / "images", faces))
    order = np.argsort(from_folder.rows)
    for name in ("images", "labels", "splits", "rows"):
        np.testing.assert_array_equal(getattr(from_folder, name)[order], getattr(from_csv, name))


@pytest.mark.parametrize("layout", ["csv", "folder"])
def test_votes_are_joined_by_row_to_either_layout(tmp_path, layout):
    faces = make_faces(Training=5, PublicTest=3)
    votes = write_votes(tmp_path / "fer2013new.csv", faces.splits.tolist(), [[i] + [0] * 9 for i in range(8)])
    write = {"csv": write_csv, "folder": write_folder}[layout]
    joined = read_faces(write(tmp_path / "data", faces), ferplus=votes)
    assert joined.votes is not None
    assert joined.votes[:, 0].tolist() == joined.rows.tolist()
