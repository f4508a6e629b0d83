import contextlib
import struct
import zipfile

import numpy as np
import pytest
from unit.fer_train.audit.made_faces import blob_faces, right_probs

from fer_train.audit.predictions import read_predictions
from fer_train.errors import DataError


@pytest.fixture
def faces():
    """Rows begin at 100, so that a row is not its position."""
    made = blob_faces()
    made.rows[:] += 100
    return made


def write(path, faces, order=(4, 0, 9), **changes):
    order = list(order)
    arrays = {"rows": faces.rows[order], "labels": faces.labels[order], "probs": right_probs(faces.labels[order])}
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return path


def refuse(path, faces, *words):
    with pytest.raises(DataError) as caught:
        read_predictions(path, faces)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_rows_are_joined_by_number_in_any_order(tmp_path, faces):
    predictions = read_predictions(write(tmp_path / "oof.npz", faces), faces)
    assert predictions.indices.tolist() == [4, 0, 9]
    assert predictions.probs.argmax(axis=1).tolist() == faces.labels[[4, 0, 9]].tolist()


def test_rows_need_not_rise_in_the_data(tmp_path, faces):
    """An image folder is read class by class."""
    faces.rows[:] = faces.rows[::-1].copy()
    path = write(tmp_path / "oof.npz", faces)
    assert read_predictions(path, faces).indices.tolist() == [4, 0, 9]


def test_missing_file_says_what_writes_it(tmp_path, faces):
    refuse(
        tmp_path / "none.npz",
        faces,
        "cannot read predictions",
        "Expected an .npz",
        "Fix: write it with fer-train crossval",
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"row,label\n1,2\n"], ids=["empty", "cut", "csv"])
def test_other_file_is_refused(tmp_path, faces, content):
    path = tmp_path / "oof.npz"
    path.write_bytes(content)
    refuse(path, faces, "cannot read predictions")


def test_a_changed_byte_is_found_or_changes_nothing(tmp_path, faces):
    path = write(tmp_path / "oof.npz", faces)
    content, wanted = path.read_bytes(), read_predictions(path, faces)
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with contextlib.suppress(DataError):
            assert read_predictions(path, faces).probs.tolist() == wanted.probs.tolist()


def test_an_entry_whose_method_became_lzma_is_refused(tmp_path, faces):
    path = write(tmp_path / "oof.npz", faces)
    with zipfile.ZipFile(path) as opened:
        heads = [entry.header_offset for entry in opened.infolist()]
    content = bytearray(path.read_bytes())
    for head in heads:
        start = head + 30 + sum(struct.unpack_from("<HH", content, head + 26))
        content[head + 8] = zipfile.ZIP_LZMA
        content[start : start + 9] = b"\x09\x14\x05\x00\xff\xff\xff\xff\xff"  # five bytes of settings, which none has
    place = -1
    while (place := content.find(b"PK\x01\x02", place + 1)) >= 0:
        content[place + 10] = zipfile.ZIP_LZMA
    path.write_bytes(content)
    refuse(path, faces, "cannot read predictions")


def test_single_array_is_refused(tmp_path, faces):
    np.save(tmp_path / "oof.npy", right_probs(faces.labels))
    refuse(tmp_path / "oof.npy", faces, "cannot read predictions")


def test_missing_arrays_are_named_with_those_there_are(tmp_path, faces):
    path = write(tmp_path / "oof.npz", faces, probs=None, labels=None, logits=np.zeros(3))
    refuse(path, faces, "lacks the array(s) labels, probs", "it has rows, logits")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"probs": np.full((3, 8), 0.125, np.float32)}, "probs (3, 8)"),
        ({"probs": np.full((2, 7), 1 / 7, np.float32)}, "probs (2, 7)"),
        ({"labels": np.zeros(4, np.int64)}, "labels (4,)"),
        ({"rows": np.int64(3)}, "rows ()"),
        ({name: np.zeros((0, 7))[:, 0] for name in ("rows", "labels")} | {"probs": np.zeros((0, 7))}, "rows (0,)"),
    ],
)
def test_shapes_that_do_not_fit_are_shown(tmp_path, faces, changes, words):
    path = write(tmp_path / "oof.npz", faces, **changes)
    refuse(path, faces, "shapes do not fit", words, "Expected rows (M,), labels (M,), probs (M, 7)")


def test_types_that_do_not_fit_are_shown(tmp_path, faces):
    path = write(tmp_path / "oof.npz", faces, rows=np.array(["104", "100", "109"]))
    refuse(path, faces, "types do not fit", "rows <U3", "Expected whole numbers and floats")


def test_row_that_comes_twice_is_refused(tmp_path, faces):
    refuse(write(tmp_path / "oof.npz", faces, (4, 4, 9)), faces, "1 rows occur twice")


@pytest.mark.parametrize("row", [5, 118, 999])
def test_rows_that_the_data_lack_are_refused(tmp_path, faces, row):
    faces.rows[18] = 500
    path = write(tmp_path / "oof.npz", faces, rows=np.array([104, 100, row]))
    refuse(path, faces, f"has 1 rows that are not in the data, the first is {row}", "up to row 500")


def test_labels_of_other_data_are_refused(tmp_path, faces):
    path = write(tmp_path / "oof.npz", faces, labels=np.array([4, 0, 6]))
    refuse(path, faces, "1 of 3 labels differ from those of the data; row 109 has 6 there and 2 in the data")


@pytest.mark.parametrize("bad", [np.nan, -0.1, 3.0])
def test_logits_and_nan_are_no_probabilities(tmp_path, faces, bad):
    probs = right_probs(faces.labels[[4, 0, 9]])
    probs[1, 2] = bad
    refuse(write(tmp_path / "oof.npz", faces, probs=probs), faces, "1 rows of probs are not probabilities; entry 1 is")


def test_data_without_row_numbers_cannot_be_joined(tmp_path, faces):
    path = write(tmp_path / "oof.npz", faces)
    faces.rows[:] = -1
    refuse(path, faces, "carry no row numbers. Fix: use fer2013.csv")
