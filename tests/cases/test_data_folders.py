"""Odd image folders of users."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from cases.data_cases import FACES, data_of, error_of, run

from fer_train.data import read_faces
from fer_train.data.faces import EMOTIONS, Faces

pytestmark = pytest.mark.usefixtures("narrow")

# image folders


def folder_of(root: Path, faces: Faces = FACES, suffix=".png", stem=str, test="test") -> Path:
    for image, label, split, row in zip(faces.images, faces.labels, faces.splits, faces.rows, strict=True):
        place = root / ("train" if split == "Training" else test) / EMOTIONS[label]
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{stem(row)}{suffix}"), image)
    return root


def test_nested_folders_other_formats_and_names_that_are_no_utf8(tmp_path, caplog):
    root = folder_of(tmp_path / "data")
    inner = root / "train" / "happy" / "person1" / "day2"
    inner.mkdir(parents=True)
    (root / "train" / "happy" / "3.png").rename(inner / "3.png")
    for suffix, row in ((".webp", 10), (".tiff", 17), (".jfif", 24)):
        old = root / "train" / "happy" / f"{row}.png"
        encoded = cv2.imencode(suffix.replace("jfif", "jpg"), FACES.images[row])[1]
        old.with_suffix(suffix.upper()).write_bytes(encoded.tobytes())
        old.unlink()
    (root / "test" / "sad" / "32.png").rename(root / "test" / "sad" / "fr\udcf6hlich.png")
    for name in ("a.heic", "b.heic", "notes.txt"):
        (root / "train" / "sad" / name).write_bytes(b"x")
    (root / "extra").mkdir()
    (root / "extra" / "1.png").write_bytes(b"x")
    read = read_faces(root)
    assert read.counts() == {"Training": 28, "test": 14}
    np.testing.assert_array_equal(np.bincount(read.labels), np.bincount(FACES.labels))
    assert "3 files are not read (2 .heic, 1 .txt): train/sad/a.heic, train/sad/b.heic" in caplog.text
    assert "extra/ is not read: it holds 1 files" in caplog.text


def test_empty_class_is_said(tmp_path, caplog):
    root = folder_of(tmp_path, FACES.select(FACES.labels != 3))
    (root / "train" / "happy").mkdir()
    assert read_faces(root).counts() == {"Training": 24, "test": 12}
    assert "train/ holds no picture of happy" in caplog.text


def test_val_and_validation_are_splits_of_their_own(tmp_path):
    root = folder_of(tmp_path)
    for name in ("val", "validation"):
        folder_of(root, FACES.select(FACES.splits == "PublicTest"), test=name)
    assert read_faces(root).counts() == {"Training": 28, "test": 14, "val": 14, "validation": 14}
    (root / "Training").mkdir()
    assert "holds Training/ and train/, both for the split Training. Fix: keep one" in error_of(root)


def test_folders_win_over_names_that_contradict_them(tmp_path, caplog):
    root = folder_of(tmp_path, stem=lambda row: f"{'Training' if row % 3 else 'PublicTest'}_{row}")
    assert read_faces(root).counts() == {"Training": 28, "test": 14}
    assert "of 42 file names name another split than their folder (train/angry/PublicTest_0.png" in caplog.text


def test_names_that_fit_their_folders_give_the_splits(tmp_path, caplog):
    root = folder_of(tmp_path, stem=lambda row: f"{FACES.splits[row]}_{row}")
    read = read_faces(root)
    assert read.counts() == {"Training": 28, "PublicTest": 14}
    assert sorted(read.rows.tolist()) == FACES.rows.tolist()
    assert caplog.text == ""


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tiff", ".png", ".bmp"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_file_that_ends_early(tmp_path, suffix, share):
    root = folder_of(tmp_path, suffix=suffix)
    path = root / "train" / "happy" / f"3{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert f"{path} cannot be decoded as an image" in error_of(root)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [8_000, 40_000])
def test_header_that_announces_a_huge_picture(tmp_path, side):
    root = folder_of(tmp_path)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    (root / "train" / "happy" / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + end)
    assert "huge.png cannot be decoded as an image: its header announces " in error_of(root)


def test_bytes_of_a_broken_files_name_are_shown_escaped(tmp_path):
    root = folder_of(tmp_path)
    path = os.fsencode(root / "train" / "happy") + b"/fr\xf6hlich.png"
    with open(path, "wb") as file:
        file.write(b"no picture")
    message = run("audit", "--data", root, "--out", tmp_path / "audit", code=4)
    assert r"happy/fr\xf6hlich.png cannot be decoded as an image" in message


def test_folder_that_holds_the_csv(tmp_path):
    path = data_of(tmp_path / "data", FACES)
    assert f"data is a folder with fer2013.csv in it, and has no train/<class>/ images. Fix: --data {path}" in error_of(
        path.parent
    )
